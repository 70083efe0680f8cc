/** The same as a route handler of Next.js: app/registrations/route.ts */
import { isRegistration, register } from '../../../register.ts'

// postgres.js needs Node's sockets; the edge runtime has none.
export const runtime = 'nodejs'

export async function POST(request: Request): Promise<Response> {
  const body: unknown = await request.json().catch(() => null)
  if (!isRegistration(body)) return Response.json({ error: 'give course, name and email' }, { status: 400 })
  const registered = await register(body)
  return 'id' in registered
    ? Response.json(registered, { status: 201 })
    : Response.json({ error: registered.refused }, { status: 409 })
}
