# CPU image. The sources run as they are: there is no build step.
# For CUDA build it with `--build-arg ONNXRUNTIME_NODE_INSTALL=cuda12`, which fetches onnxruntime's CUDA libraries, and with
# `--build-arg BASE=...` naming an image made from node:24-slim that has the libraries of CUDA 12 and cuDNN 9.
ARG BASE=node-24

# Pinned: a tag that is pushed anew changes nothing here. docs/operations.md says how to take a newer one.
FROM node:24.21.0-slim@sha256:0e0ff40c39bc087845bfb27465a0df4ea419520094bc35842ff83dd8cbe6f9b6 AS node-24

FROM node-24 AS dependencies
ARG ONNXRUNTIME_NODE_INSTALL=skip
WORKDIR /app
COPY package.json package-lock.json ./
# The image brings its own Node, and onnxruntime's libraries for other systems weigh more than all the rest.
RUN npm ci --omit=dev \
  && node node_modules/onnxruntime-node/script/install.js \
  && rm -rf node_modules/node node_modules/node-linux-* node_modules/.bin/node \
    node_modules/onnxruntime-node/bin/napi-v6/darwin node_modules/onnxruntime-node/bin/napi-v6/win32

FROM ${BASE}
# Writes nowhere but to DATA_DIR and, as a worker, HEARTBEAT_FILE: the rest may be read-only.
ENV NODE_ENV=production HOST=0.0.0.0 PORT=3000 DATA_DIR=/data HEARTBEAT_FILE=/tmp/heartbeat
# glibc gives large buffers back to the system at once, instead of keeping what the busiest minute took.
ENV MALLOC_MMAP_THRESHOLD_=131072
WORKDIR /app
COPY --from=dependencies /app/node_modules node_modules
COPY package.json LICENSE NOTICE ./
COPY src src
COPY examples examples
RUN mkdir /data && chown node:node /data
USER node
VOLUME /data
EXPOSE 3000
# Of the roles that serve HTTP; docker-compose.yml has the worker's.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/healthz`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "src/main.ts"]
