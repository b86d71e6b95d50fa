# The service, `express-artwork serve`, from this repository. An app of your own needs the second stage alone.
FROM node:22-bookworm AS build
WORKDIR /build
COPY package.json package-lock.json ./
RUN npm ci
COPY . .
RUN npm pack --pack-destination /tmp
WORKDIR /app
# What some options need beside: nodes that share a bucket and Redis take "@aws-sdk/client-s3 ioredis bullmq".
ARG PACKAGES=""
RUN npm init -y && npm install --omit=dev /tmp/express-artwork-*.tgz express nunjucks pino pino-http prom-client $PACKAGES

FROM node:22-bookworm-slim
ENV NODE_ENV=production ARTWORK_DIRECTORY=/data
WORKDIR /app
COPY --from=build /app ./
RUN mkdir -m 700 /data && chown node:node /data
USER node
VOLUME /data
EXPOSE 3000
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:3000/ready').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node_modules/.bin/express-artwork", "serve"]
