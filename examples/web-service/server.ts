/** A plain Node web service: POST /registrations with {"course": 1, "name": "Ann", "email": "ann@example.com"}. */
import { createServer } from 'node:http'
import { json } from 'node:stream/consumers'
import { close, isRegistration, register } from './register.ts'

const server = createServer(async (request, response) => {
  const answer = (status: number, body: object) =>
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  try {
    if (request.method !== 'POST' || request.url !== '/registrations')
      return answer(404, { error: 'not found' })
    const body = await json(request).catch(() => null)
    if (!isRegistration(body)) return answer(400, { error: 'give course, name and email' })
    const registered = await register(body)
    return 'id' in registered ? answer(201, registered) : answer(409, { error: registered.refused })
  } catch (error) {
    console.error(error)
    return answer(500, { error: 'something went wrong; nothing was kept' })
  }
})

server.listen(Number(process.env.PORT ?? 3000), '127.0.0.1', () => {
  const address = server.address()
  console.log(`listening on http://127.0.0.1:${typeof address === 'object' ? address?.port : address}`)
})
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => server.close(() => void close()))
