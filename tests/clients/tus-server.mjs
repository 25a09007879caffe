// A tus server that others wrote: @tus/server, keeping uploads in the directory that is named.
import {FileStore} from '@tus/file-store'
import {Server} from '@tus/server'

const server = new Server({path: '/files', datastore: new FileStore({directory: process.argv[2]})})
const listening = server.listen(0, '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${listening.address().port}/files/`)
})
