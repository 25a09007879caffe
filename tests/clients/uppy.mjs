// uppy.mjs URL AUTHORIZATION FILE...: uploads files by Uppy and prints their uploads' URLs.
import { readFileSync } from 'node:fs'
import Uppy from '@uppy/core'
import Tus from '@uppy/tus'

const [endpoint, authorization, ...paths] = process.argv.slice(2)
const uppy = new Uppy().use(Tus, {
  endpoint,
  headers: { Authorization: authorization },
  chunkSize: 1 << 20,
  limit: 2,
})
for (const path of paths) {
  uppy.addFile({ name: path.split('/').pop(), type: 'video/mp4', data: readFileSync(path) })
}
const { successful, failed } = await uppy.upload()
for (const file of failed) console.error(file.error)
for (const file of successful) console.log(file.uploadURL)
process.exit(failed.length)
