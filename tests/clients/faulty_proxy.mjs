// A proxy before the server that fails on cue, and tells what went through it.
import http from 'node:http'

/**
 * faults: functions of (request, index of the request) that return undefined or
 *   { status }         answer so, and ask the server nothing
 *   { cutAfter }       end the connection after so many bytes of the body
 *   { loseAnswer }     let the server do it, then end the connection instead of its answer
 */
export async function faultyProxy(server, fault = () => undefined) {
  const target = new URL(server)
  const seen = []
  const proxy = http.createServer((request, response) => {
    const index = seen.push({ method: request.method, headers: request.headers }) - 1
    const failing = fault(request, index) ?? {}
    if (failing.status) {
      request.resume()
      response.writeHead(failing.status).end()
      return
    }
    const onward = http.request(
      {
        host: target.hostname,
        port: target.port,
        method: request.method,
        path: request.url,
        headers: request.headers,
      },
      (answer) => {
        seen[index].status = answer.statusCode
        seen[index].answered = answer.headers
        if (failing.loseAnswer) {
          answer.resume()
          answer.on('end', () => request.socket.destroy())
          return
        }
        response.writeHead(answer.statusCode, answer.rawHeaders)
        answer.pipe(response)
      },
    )
    onward.on('error', () => response.destroy())
    let sent = 0
    request.on('data', (piece) => {
      sent += piece.length
      if (failing.cutAfter !== undefined && sent >= failing.cutAfter) {
        onward.destroy()
        request.socket.destroy()
      } else if (!onward.destroyed) {
        onward.write(piece)
      }
    })
    request.on('end', () => onward.end())
    request.on('error', () => onward.destroy())
  })
  await new Promise((listening) => proxy.listen(0, '127.0.0.1', listening))
  return {
    url: `http://127.0.0.1:${proxy.address().port}`,
    seen,
    methods: () => seen.map((one) => one.method),
    close: () => {
      proxy.close()
      proxy.closeAllConnections()
    },
  }
}
