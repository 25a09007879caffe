// tus.mjs HOW URL AUTHORIZATION FILE: uploads FILE by tus-js-client and prints the upload's URL.
import { createReadStream, statSync } from 'node:fs'
import { PassThrough } from 'node:stream'
import * as tus from 'tus-js-client'

const [how, endpoint, authorization, path] = process.argv.slice(2)
const size = statSync(path).size
const common = {
  endpoint,
  headers: { Authorization: authorization },
  metadata: { filename: 'clip.mp4', filetype: 'video/mp4' },
  retryDelays: [0, 200, 1000],
}
const ways = {
  whole: {},
  chunks: { chunkSize: 1 << 20 },
  parallel: { parallelUploads: 4 },
  deferred: { uploadLengthDeferred: true, chunkSize: 1 << 20 },
  creation: { uploadDataDuringCreation: true, chunkSize: 1 << 20 },
  override: { overridePatchMethod: true, chunkSize: 1 << 20 },
  'draft-03': { protocol: 'ietf-draft-03', chunkSize: 1 << 20 },
  'draft-05': { protocol: 'ietf-draft-05', chunkSize: 1 << 20 },
  resume: { chunkSize: 1 << 20 },
  terminate: { chunkSize: 1 << 20 },
}

function upload(options, stopAt) {
  return new Promise((resolve, reject) => {
    const file = createReadStream(path)
    // A deferred length is for what has none.
    const source = how === 'deferred' ? file.pipe(new PassThrough()) : file
    const run = new tus.Upload(source, {
      ...common,
      ...options,
      onError: reject,
      onSuccess: () => resolve(run.url),
      onChunkComplete: (_, sent) => {
        if (stopAt && sent >= stopAt) run.abort(how === 'terminate').then(() => resolve(run.url))
      },
    })
    run.start()
  })
}

const stopAt = how === 'resume' || how === 'terminate' ? size / 2 : 0
let url = await upload(ways[how], stopAt)
if (how === 'resume') url = await upload({ ...ways[how], uploadUrl: url })
console.log(url)
