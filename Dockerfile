# The worker, the scheduler, or both in one: docs/deployment/docker.md.
FROM node:24.21.0-bookworm-slim AS build
WORKDIR /app
# What is installed is kept in a layer of its own, until the lock file changes.
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --omit=optional --ignore-scripts --no-audit --no-fund
COPY scripts scripts
COPY queue-worker/src queue-worker/src
RUN node scripts/build.js

FROM node:24.21.0-bookworm-slim
ENV NODE_ENV=production HOST=0.0.0.0 PORT=8080
WORKDIR /app
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY package.json .env.example ./
COPY supabase/migrations supabase/migrations
COPY templates templates
# Nothing in /app belongs to it, and nothing has to be written: a read-only root works.
USER node
EXPOSE 8080
# Node is process 1 and hears this itself.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + process.env.PORT + '/health').then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "dist/index.js"]
# worker and scheduler are the parts alone.
CMD ["start"]
