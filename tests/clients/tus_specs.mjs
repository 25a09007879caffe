// tus_specs.mjs SERVER AUTHORIZATION: cases of tus-js-client's behaviour against the server.
// Prints a line of JSON for each: its name, and what it met or null.
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { createReadStream, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import * as tus from 'tus-js-client'
import { faultyProxy } from './faulty_proxy.mjs'

const [server, authorization] = process.argv.slice(2)
const AT_ONCE = 4
const MIB = 1 << 20
const CONTENT = randomBytes(3 * MIB + 17)
const place = mkdtempSync(join(tmpdir(), 'tus-specs-'))
const opened = []

async function proxied(fault) {
  const proxy = await faultyProxy(server, fault)
  opened.push(proxy)
  return proxy
}

/** Runs an upload to its end; `act` may do something with it before. */
function uploaded(source, options = {}, act = () => {}) {
  return new Promise((resolve, reject) => {
    const upload = new tus.Upload(source, {
      endpoint: `${server}/tus/`,
      headers: { Authorization: authorization },
      metadata: { filename: 'clip.bin' },
      retryDelays: null,
      chunkSize: MIB,
      ...options,
      onError: reject,
      onSuccess: (payload) => {
        options.onSuccess?.(payload)
        resolve(upload)
      },
    })
    act(upload, resolve)
    upload.start()
  })
}

/** Begins an upload and gives it up when a chunk has arrived. */
function interrupted(source, options = {}) {
  return new Promise((resolve, reject) => {
    const upload = new tus.Upload(source, {
      endpoint: `${server}/tus/`,
      headers: { Authorization: authorization },
      metadata: { filename: 'clip.bin' },
      retryDelays: null,
      chunkSize: MIB,
      ...options,
      onError: reject,
      onChunkComplete: () => upload.abort().then(() => resolve(upload)),
    })
    upload.start()
  })
}

async function failed(source, options, act) {
  try {
    await uploaded(source, options, act)
  } catch (error) {
    return error
  }
  throw new Error('it should have failed')
}

async function ask(url, method = 'GET', headers = {}) {
  return await fetch(url, { method, headers: { Authorization: authorization, ...headers } })
}

async function state(url) {
  return await ask(url, 'HEAD', { 'Tus-Resumable': '1.0.0' })
}

function sha256(data) {
  return createHash('sha256').update(data).digest('hex')
}

async function arrived(upload, content = CONTENT) {
  const url = upload.url.replace(/^http:\/\/[^/]+/, server)
  // Joined files are there a moment later.
  for (const until = Date.now() + 60_000; ; ) {
    const answer = await ask(url)
    const found = Buffer.from(await answer.arrayBuffer())
    if (answer.status === 200) return assert.equal(sha256(found), sha256(content))
    assert.ok(answer.status === 404 && Date.now() < until, `${answer.status}`)
  }
}

function file(content = CONTENT) {
  const path = join(place, randomBytes(6).toString('hex'))
  writeFileSync(path, content)
  return path
}

function storage() {
  return new tus.FileUrlStorage(join(place, `urls-${randomBytes(6).toString('hex')}.json`))
}

const failsOnce = (method, how) => {
  let failures = 0
  return (request) => (request.method === method && failures++ === 0 ? how : undefined)
}

const cases = {
  async 'metadata comes back, whatever letters it has'() {
    const upload = await uploaded(CONTENT, {
      metadata: { filename: 'słońce.txt', nonlatin: '雪', number: 100, empty: '' },
    })
    const told = (await state(upload.url)).headers.get('upload-metadata').split(',')
    const expected = [
      `filename ${Buffer.from('słońce.txt').toString('base64')}`,
      `nonlatin ${Buffer.from('雪').toString('base64')}`,
      'number MTAw',
    ]
    for (const pair of expected) assert.ok(told.includes(pair), `${told}`)
    assert.equal(told.length, 4)
    await arrived(upload)
  },

  async 'an empty file is only created'() {
    const proxy = await proxied()
    const upload = await uploaded(Buffer.alloc(0), { endpoint: `${proxy.url}/tus/` })
    assert.deepEqual(proxy.methods(), ['POST'])
    await arrived(upload, Buffer.alloc(0))
  },

  async 'a file goes along with its creation'() {
    const proxy = await proxied()
    const upload = await uploaded(CONTENT, {
      endpoint: `${proxy.url}/tus/`,
      uploadDataDuringCreation: true,
      chunkSize: Number.POSITIVE_INFINITY,
    })
    assert.deepEqual(proxy.methods(), ['POST'])
    await arrived(upload)
  },

  async 'a part of a file goes along with its creation'() {
    const proxy = await proxied()
    const upload = await uploaded(CONTENT, {
      endpoint: `${proxy.url}/tus/`,
      uploadDataDuringCreation: true,
    })
    assert.deepEqual(proxy.methods(), ['POST', 'PATCH', 'PATCH', 'PATCH'])
    await arrived(upload)
  },

  async 'chunks and progress are told'() {
    const chunks = []
    const sent = []
    await uploaded(CONTENT, {
      onChunkComplete: (size, accepted, total) => chunks.push([size, accepted, total]),
      onProgress: (bytes) => sent.push(bytes),
    })
    const total = CONTENT.length
    assert.deepEqual(chunks, [
      [MIB, MIB, total],
      [MIB, 2 * MIB, total],
      [MIB, 3 * MIB, total],
      [17, total, total],
    ])
    assert.equal(sent.at(-1), total)
    assert.deepEqual(sent, [...sent].sort((a, b) => a - b))
  },

  async 'the place is told before bytes are sent, and is absolute'() {
    for (const endpoint of [`${server}/tus/`, `${server}/tus`]) {
      const order = []
      const upload = await uploaded(CONTENT, {
        endpoint,
        onUploadUrlAvailable: () => order.push('url'),
        onChunkComplete: () => order.push('chunk'),
      })
      assert.equal(order[0], 'url')
      assert.match(upload.url, new RegExp(`^${server}/tus/[0-9a-z]{20,32}$`))
      await arrived(upload)
    }
  },

  async 'requests and answers are shown, with an id that both carry'() {
    const ids = []
    await uploaded(CONTENT, {
      addRequestId: true,
      onBeforeRequest: (request) => request.setHeader('X-Extra', 'x'),
      onAfterResponse: (request, response) => {
        ids.push([request.getHeader('X-Request-ID'), response.getHeader('X-Request-ID')])
      },
    })
    assert.ok(ids.length === 5 && ids.every(([mine, theirs]) => mine && mine === theirs), `${ids}`)
  },

  async 'the last answer comes with the success'() {
    let status
    await uploaded(CONTENT, { onSuccess: ({ lastResponse }) => (status = lastResponse.getStatus()) })
    assert.equal(status, 204)
  },

  async 'an error has the request and its answer'() {
    const tooMuch = Readable.from([CONTENT])
    const error = await failed(tooMuch, { uploadSize: 1e15, addRequestId: true })
    assert.ok([413, 507].includes(error.originalResponse.getStatus()))
    assert.equal(error.originalRequest.getMethod(), 'POST')
    const problem = JSON.parse(error.originalResponse.getBody())
    assert.equal(problem.request_id, error.originalRequest.getHeader('X-Request-ID'))
    assert.ok(error.message.includes(problem.detail))
  },

  async 'an upload that is unknown is begun anew'() {
    const upload = await uploaded(CONTENT, { uploadUrl: `${server}/tus/${'0'.repeat(32)}` })
    assert.ok(!upload.url.endsWith('0'.repeat(32)))
    await arrived(upload)
  },

  async 'an upload that is unknown fails where none can be begun'() {
    const error = await failed(CONTENT, {
      endpoint: null,
      uploadUrl: `${server}/tus/${'0'.repeat(32)}`,
    })
    assert.match(error.message, /unable to resume upload/)
    assert.equal(error.originalResponse.getStatus(), 404)
  },

  async 'a finished upload is not sent again'() {
    const done = await uploaded(CONTENT)
    const proxy = await proxied()
    const url = done.url.replace(server, proxy.url)
    const again = await uploaded(CONTENT, { uploadUrl: url })
    assert.deepEqual(proxy.methods(), ['HEAD'])
    await arrived(again)
  },

  async 'an upload goes on from its address'() {
    const first = await interrupted(CONTENT)
    const proxy = await proxied()
    const second = await uploaded(CONTENT, {
      endpoint: null,
      uploadUrl: first.url.replace(server, proxy.url),
    })
    assert.deepEqual(proxy.methods(), ['HEAD', 'PATCH', 'PATCH', 'PATCH'])
    assert.equal(proxy.seen[1].headers['upload-offset'], `${MIB}`)
    await arrived(second)
  },

  async 'an upload goes on from what was stored of it, and is forgotten when it is done'() {
    const urlStorage = storage()
    const path = file()
    const options = { urlStorage, removeFingerprintOnSuccess: true }
    const first = await interrupted(createReadStream(path), options)
    const second = await new Promise((resolve, reject) => {
      const upload = new tus.Upload(createReadStream(path), {
        endpoint: `${server}/tus/`,
        headers: { Authorization: authorization },
        metadata: { filename: 'clip.bin' },
        ...options,
        onError: reject,
        onSuccess: () => resolve(upload),
      })
      upload.findPreviousUploads().then((previous) => {
        assert.deepEqual(previous.map((one) => one.uploadUrl), [first.url])
        upload.resumeFromPreviousUpload(previous[0])
        upload.start()
      }, reject)
    })
    assert.equal(second.url, first.url)
    await arrived(second)
    assert.deepEqual(await urlStorage.findAllUploads(), [])
  },

  async 'what is stored stays without being told to remove it'() {
    const urlStorage = storage()
    const upload = await uploaded(createReadStream(file()), { urlStorage })
    const [kept] = await urlStorage.findAllUploads()
    assert.equal(kept.uploadUrl, upload.url)
    assert.equal(kept.size, CONTENT.length)
  },

  async 'what is stored is forgotten when the server knows no such upload'() {
    const urlStorage = storage()
    const path = file()
    const first = await interrupted(createReadStream(path), { urlStorage })
    await tus.Upload.terminate(first.url, {
      headers: { Authorization: authorization },
    })
    const second = await uploaded(createReadStream(path), { urlStorage })
    const gone = await failed(createReadStream(path), {
      endpoint: null,
      uploadUrl: first.url,
      urlStorage,
    })
    assert.equal(gone.originalResponse.getStatus(), 410)
    await arrived(second)
  },

  async 'a method may be overridden'() {
    const proxy = await proxied((request) =>
      request.method === 'PATCH' ? { status: 405 } : undefined,
    )
    const upload = await uploaded(CONTENT, {
      endpoint: `${proxy.url}/tus/`,
      overridePatchMethod: true,
    })
    assert.ok(proxy.methods().every((method) => method === 'POST'))
    assert.equal(proxy.seen[1].headers['x-http-method-override'], 'PATCH')
    await arrived(upload)
  },

  async 'a second client takes over from one that hangs'() {
    const first = new PassThrough()
    const hanging = new Promise((resolve) => {
      uploaded(first, { uploadSize: CONTENT.length, chunkSize: CONTENT.length }, (upload) => {
        upload.options.onUploadUrlAvailable = () => resolve(upload)
      }).catch(() => {})
    })
    first.write(CONTENT.subarray(0, MIB))
    const { url } = await hanging
    const second = await uploaded(CONTENT, { uploadUrl: url })
    first.destroy()
    await arrived(second)
  },

  async 'a source with less than was said fails, and what came is kept'() {
    const short = Readable.from([CONTENT.subarray(0, MIB + 5)])
    let url
    const error = await failed(short, { uploadSize: CONTENT.length }, (upload) => {
      upload.options.onUploadUrlAvailable = () => (url = upload.url)
    })
    assert.match(error.message, /source is done after/)
    const kept = Number((await state(url)).headers.get('upload-offset'))
    assert.ok(kept <= MIB + 5, `${kept}`)
    await arrived(await uploaded(CONTENT, { uploadUrl: url }))
  },

  async 'a creation that failed is tried again'() {
    const proxy = await proxied(failsOnce('POST', { status: 503 }))
    const upload = await uploaded(CONTENT, { endpoint: `${proxy.url}/tus/`, retryDelays: [10] })
    assert.deepEqual(proxy.methods().slice(0, 3), ['POST', 'POST', 'PATCH'])
    await arrived(upload)
  },

  async 'bytes whose connection broke are sent from where they stand'() {
    const proxy = await proxied(failsOnce('PATCH', { cutAfter: MIB / 2 }))
    const upload = await uploaded(CONTENT, { endpoint: `${proxy.url}/tus/`, retryDelays: [10] })
    assert.deepEqual(proxy.methods().slice(0, 4), ['POST', 'PATCH', 'HEAD', 'PATCH'])
    await arrived(upload)
  },

  async 'bytes whose answer was lost are not sent again'() {
    const proxy = await proxied(failsOnce('PATCH', { loseAnswer: true }))
    const upload = await uploaded(CONTENT, { endpoint: `${proxy.url}/tus/`, retryDelays: [10] })
    const offsets = proxy.seen
      .filter((one) => one.method === 'PATCH')
      .map((one) => Number(one.headers['upload-offset']))
    assert.deepEqual(offsets, [0, MIB, 2 * MIB, 3 * MIB])
    await arrived(upload)
  },

  async 'who is asked whether to try again decides'() {
    for (const again of [true, false]) {
      const proxy = await proxied(failsOnce('PATCH', { status: 403 }))
      const options = {
        endpoint: `${proxy.url}/tus/`,
        retryDelays: [10],
        onShouldRetry: (error) => again && error.originalResponse.getStatus() === 403,
      }
      if (again) await arrived(await uploaded(CONTENT, options))
      else assert.equal((await failed(CONTENT, options)).originalResponse.getStatus(), 403)
    }
  },

  async 'tries end with the delays'() {
    const proxy = await proxied((request) =>
      request.method === 'PATCH' ? { status: 500 } : undefined,
    )
    const error = await failed(CONTENT, { endpoint: `${proxy.url}/tus/`, retryDelays: [10, 10] })
    assert.equal(error.originalResponse.getStatus(), 500)
    assert.equal(proxy.methods().filter((method) => method === 'PATCH').length, 3)
  },

  async 'tries are counted anew when bytes arrived'() {
    let patches = 0
    const proxy = await proxied((request) =>
      request.method === 'PATCH' && patches++ % 2 === 0 ? { status: 500 } : undefined,
    )
    await arrived(await uploaded(CONTENT, { endpoint: `${proxy.url}/tus/`, retryDelays: [10] }))
    assert.equal(patches, 8)
  },

  async 'one that is given up is not tried again'() {
    const proxy = await proxied((request) =>
      request.method === 'PATCH' ? { status: 500 } : undefined,
    )
    await new Promise((resolve) => {
      uploaded(CONTENT, { endpoint: `${proxy.url}/tus/`, retryDelays: [200, 200] }, (upload) => {
        upload.options.onAfterResponse = (_, response) => {
          if (response.getStatus() === 500) upload.abort().then(() => setTimeout(resolve, 600))
        }
      })
    })
    assert.deepEqual(proxy.methods(), ['POST', 'PATCH'])
  },

  async 'one that is given up while it is created can be begun again'() {
    await new Promise((resolve) => {
      uploaded(CONTENT, {}, (upload) => {
        upload.options.onBeforeRequest = () => setImmediate(() => upload.abort().then(resolve))
      }).catch(() => {}) // In Node it may still tell of the request that it ended.
    })
    await arrived(await uploaded(CONTENT))
  },

  async 'one that is given up goes on where it stood'() {
    const proxy = await proxied()
    const upload = await interrupted(CONTENT, { endpoint: `${proxy.url}/tus/` })
    upload.options.onChunkComplete = null
    await new Promise((resolve, reject) => {
      upload.options.onSuccess = resolve
      upload.options.onError = reject
      upload.start()
    })
    assert.deepEqual(proxy.methods(), ['POST', 'PATCH', 'HEAD', 'PATCH', 'PATCH', 'PATCH'])
    await arrived(upload)
  },

  async 'a stream of known size, and one whose size comes last'() {
    await arrived(await uploaded(Readable.from([CONTENT]), { uploadSize: CONTENT.length }))
    const stream = new PassThrough()
    stream.end(CONTENT)
    const proxy = await proxied()
    const upload = await uploaded(stream, {
      endpoint: `${proxy.url}/tus/`,
      uploadLengthDeferred: true,
    })
    assert.equal(proxy.seen[0].headers['upload-defer-length'], '1')
    await arrived(upload)
  },

  async 'a stream whose size comes last is tried again'() {
    const stream = new PassThrough()
    stream.end(CONTENT)
    const proxy = await proxied(failsOnce('PATCH', { status: 503 }))
    const options = { uploadLengthDeferred: true, retryDelays: [10] }
    await arrived(await uploaded(stream, { endpoint: `${proxy.url}/tus/`, ...options }))
  },

  async 'parts go side by side and become one file'() {
    const proxy = await proxied()
    const upload = await uploaded(createReadStream(file()), {
      endpoint: `${proxy.url}/tus/`,
      parallelUploads: 3,
      metadataForPartialUploads: { of: 'clip' },
    })
    const [first, ...others] = proxy.seen.filter((one) => one.method === 'POST').reverse()
    assert.match(first.headers['upload-concat'], /^final;/)
    assert.deepEqual(others.map((one) => one.headers['upload-concat']), Array(3).fill('partial'))
    assert.equal(others[0].headers['upload-metadata'], 'of Y2xpcA==')
    await arrived(upload)
  },

  async 'parts have the sizes that were asked for'() {
    const proxy = await proxied()
    const upload = await uploaded(createReadStream(file()), {
      endpoint: `${proxy.url}/tus/`,
      parallelUploads: 2,
      parallelUploadBoundaries: [
        { start: 0, end: 5 },
        { start: 5, end: CONTENT.length },
      ],
    })
    const sizes = proxy.seen
      .filter((one) => one.method === 'POST' && one.headers['upload-concat'] === 'partial')
      .map((one) => one.headers['upload-length'])
    assert.deepEqual(sizes.sort(), [`${CONTENT.length - 5}`, '5'].sort())
    await arrived(upload)
  },

  async 'what one part meets is told'() {
    const proxy = await proxied(failsOnce('POST', { status: 500 }))
    const error = await failed(createReadStream(file()), {
      endpoint: `${proxy.url}/tus/`,
      parallelUploads: 2,
    })
    assert.equal(error.originalResponse.getStatus(), 500)
  },

  async 'parts go on from what was stored of them'() {
    const urlStorage = storage()
    const path = file()
    const options = { urlStorage, parallelUploads: 2, chunkSize: MIB / 2 }
    await interrupted(createReadStream(path), options)
    const [stored] = await urlStorage.findAllUploads()
    const proxy = await proxied()
    const upload = await uploaded(createReadStream(path), options, (made) => {
      made.resumeFromPreviousUpload(stored)
    })
    assert.equal(stored.parallelUploadUrls.length, 2)
    await arrived(upload)
    assert.deepEqual(proxy.methods(), [])
  },

  async 'parts that were given up go on'() {
    const proxy = await proxied()
    const options = { endpoint: `${proxy.url}/tus/`, parallelUploads: 2, chunkSize: MIB / 2 }
    const upload = await interrupted(createReadStream(file()), options)
    upload.options.onChunkComplete = null
    await new Promise((resolve, reject) => {
      upload.options.onSuccess = resolve
      upload.options.onError = reject
      upload.start()
    })
    const created = proxy.seen.filter(
      (one) => one.method === 'POST' && one.headers['upload-concat'] === 'partial',
    )
    assert.equal(created.length, 2)
    await arrived(upload)
  },

  async 'an upload is terminated, and that is tried again'() {
    const proxy = await proxied(failsOnce('DELETE', { status: 503 }))
    const upload = await interrupted(CONTENT, {
      endpoint: `${proxy.url}/tus/`,
      retryDelays: [10],
    })
    await tus.Upload.terminate(upload.url, {
      headers: { Authorization: authorization },
      retryDelays: [10],
    })
    assert.equal(proxy.methods().filter((method) => method === 'DELETE').length, 2)
    assert.equal((await state(upload.url.replace(proxy.url, server))).status, 410)
  },

  async 'tries to terminate end with the delays'() {
    const proxy = await proxied((request) =>
      request.method === 'DELETE' ? { status: 500 } : undefined,
    )
    const upload = await interrupted(CONTENT, { endpoint: `${proxy.url}/tus/` })
    await assert.rejects(
      tus.Upload.terminate(upload.url, {
        headers: { Authorization: authorization },
        retryDelays: [10],
      }),
      (error) => error.originalResponse.getStatus() === 500,
    )
    assert.equal(proxy.methods().filter((method) => method === 'DELETE').length, 2)
  },

  async 'a completed upload that is terminated is not found any more'() {
    const upload = await uploaded(CONTENT)
    await upload.abort(true)
    assert.equal((await ask(upload.url)).status, 404)
  },

  async 'checksums that the application adds are verified'() {
    const bytes = CONTENT.subarray(0, 100)
    const good = createHash('sha256').update(bytes).digest('base64')
    const options = (digest) => ({
      onBeforeRequest: (request) => {
        if (request.getMethod() === 'PATCH') {
          request.setHeader('Upload-Checksum', `sha256 ${digest}`)
        }
      },
    })
    await arrived(await uploaded(bytes, options(good)), bytes)
    const error = await failed(bytes, options(Buffer.alloc(32).toString('base64')))
    assert.equal(error.originalResponse.getStatus(), 460)
  },

  async 'one connection carries it all where the application says so'() {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
    const upload = await uploaded(CONTENT, { httpStack: new tus.DefaultHttpStack({ agent }) })
    agent.destroy()
    await arrived(upload)
  },

  async 'resumable HTTP goes on after a cut, in both drafts'() {
    for (const protocol of ['ietf-draft-03', 'ietf-draft-05']) {
      const content = randomBytes(2 * MIB + 1 + Math.floor(Math.random() * MIB))
      const proxy = await proxied(failsOnce('PATCH', { cutAfter: MIB / 2 }))
      const upload = await uploaded(content, {
        endpoint: `${proxy.url}/resumable/`,
        protocol,
        retryDelays: [10],
      })
      const told = await ask(upload.url.replace(proxy.url, server), 'HEAD')
      assert.equal(told.headers.get('upload-offset'), `${content.length}`)
      assert.equal(told.headers.get('upload-complete'), '?1')
      // By its session: uploads without a name are versions of one file, and others send some too.
      const session = upload.url.split('/').pop()
      const stored = await ask(`${server}/tus/${session}`)
      assert.equal(sha256(Buffer.from(await stored.arrayBuffer())), sha256(content))
    }
  },

  async 'resumable HTTP goes on from its address, in both drafts'() {
    for (const protocol of ['ietf-draft-03', 'ietf-draft-05']) {
      const options = { endpoint: `${server}/resumable/`, protocol }
      const first = await interrupted(CONTENT, options)
      const proxy = await proxied()
      await uploaded(CONTENT, {
        ...options,
        uploadUrl: first.url.replace(server, proxy.url),
      })
      assert.deepEqual(proxy.methods(), ['HEAD', 'PATCH', 'PATCH', 'PATCH'])
      assert.equal(proxy.seen[1].headers['upload-offset'], `${MIB}`)
    }
  },
}

const waiting = Object.entries(cases)

async function work() {
  for (let next = waiting.shift(); next; next = waiting.shift()) {
    const [name, run] = next
    const met = await run().then(
      () => null,
      (error) => `${error.stack ?? error}`,
    )
    console.log(JSON.stringify({ name, met }))
  }
}

await Promise.all(Array.from({ length: AT_ONCE }, work))
for (const proxy of opened) proxy.close()
rmSync(place, { recursive: true })
process.exit(0)
