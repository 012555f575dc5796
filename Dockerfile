# The program in a container, as an ordinary user:
#
#   docker build --tag influx-snap --build-arg COMMIT="$(git rev-parse HEAD)" .
#   docker run --rm --volume /backup:/backup influx-snap backup --host db1:8088 /backup/influx
FROM node:22-bookworm-slim AS build
WORKDIR /src
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY . .
ARG COMMIT
RUN BUILD_COMMIT="$COMMIT" npm run build

FROM node:22-bookworm-slim
# isal has igzip, with which archives are compressed several times as fast.
RUN apt-get update && apt-get install --yes --no-install-recommends isal && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/influx-snap
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --omit=optional --omit=peer --no-audit --no-fund && npm cache clean --force
COPY bin ./bin
COPY --from=build /src/dist ./dist
USER node
ENTRYPOINT ["node", "/opt/influx-snap/bin/snap.js"]
CMD ["--help"]
