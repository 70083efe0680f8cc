/** Commands of the documentation that no test runs as they stand there: which, and why. Their names and options are checked. */
export const NOT_RUN: readonly { readonly command: RegExp; readonly why: string }[] = [
  {
    command: /: (git|cd|cp|chmod|install|nano|export|node --env-file=\S+) /,
    why: 'what is around our own commands',
  },
  { command: /: npm (ci|install)\b/, why: 'process/install.test.ts installs the package' },
  {
    command: /: npm run (demo|dev)\b/,
    why: 'integration/cli-demo.test.ts and cli-dev.test.ts run what it starts',
  },
  { command: /: npm start$/, why: 'process/sigterm.test.ts and many others run what it starts' },
  { command: /: npm run deploy:check$/, why: 'process/deploy-check.test.ts runs it' },
  {
    command: /: npm run (bench|soak|stress-test)\b/,
    why: 'takes long; process/soak.test.ts, cli-stress.test.ts run their parts',
  },
  { command: /pm2\.md: (npm run start:pm2|pm2 |curl )/, why: 'process/pm2.test.ts runs them' },
  {
    command: /systemd\.md: (systemctl|journalctl|curl) /,
    why: 'needs a machine with systemd; process/systemd.test.ts checks the units',
  },
  { command: /: docker /, why: 'needs Docker; process/docker.test.ts takes the files apart' },
  { command: /kubernetes\.md: kubectl /, why: 'needs a cluster; unit/deployment.test.ts checks the files' },
  { command: /railway\.md: railway /, why: 'needs an account; unit/deployment.test.ts checks the files' },
  { command: /: npx supabase db push$/, why: 'needs a hosted project and its own program' },
  { command: /: curl .*\/api\/queues\//, why: 'integration/http-api-doc.test.ts runs them' },
  { command: /dashboard\.md: curl /, why: 'integration/http-api-doc.test.ts runs it' },
  { command: /: curl .*\/wake /, why: 'integration/sleeper.test.ts and process/sleep.test.ts ask for it' },
  {
    command: /: curl .*\/rest\/v1\/rpc\//,
    why: 'integration/docs-examples.test.ts runs it',
  },
  { command: /tracing\.md: node examples\/tracing\.ts$/, why: 'integration/example.test.ts runs it' },
  // Our own program.
  { command: /: npx queue-worker stack$/, why: 'runs until it is stopped: integration/cli-stack.test.ts' },
  {
    command: /: npx queue-worker queues --watch$/,
    why: 'runs until it is stopped: integration/cli-queues.test.ts',
  },
  { command: /: npx queue-worker drain/, why: 'integration/cli-drain.test.ts; here a worker runs already' },
  { command: /: npx queue-worker migrate$/, why: 'needs DATABASE_URL: integration/cli-migrate.test.ts' },
  {
    command: /: npx queue-worker check$/,
    why: 'nothing is configured where the others are run: integration/cli-check.test.ts',
  },
  {
    command: /: npx queue-worker doctor/,
    why: 'looks for a checkout around it: integration/doctor*.test.ts',
  },
  {
    command: /writing-a-processor\.md: npx queue-worker start$/,
    why: 'integration/processor-docs.test.ts runs it',
  },
  { command: /schedules\.md: npx queue-worker send .*…/, why: 'its message is not written out' },
]

export const whyNotRun = (page: string, command: string) =>
  NOT_RUN.find((one) => one.command.test(`${page}: ${command}`))?.why
