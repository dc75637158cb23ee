# tpgen in a container, made of Debian's packages and nothing else: docs/ci.md. Debian 13 has no Python module for zstd, with
# which some distributions compress images and packages; `--build-arg DEBIAN=testing` has.
ARG DEBIAN=13

FROM debian:${DEBIAN}-slim AS build
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
    python3-hatchling python3-pip
COPY . /src
# Without its hook, which makes completion for shells and manual pages.
RUN HATCH_BUILD_NO_HOOKS=true pip install --no-index --no-deps --no-build-isolation --root /image --root-user-action ignore /src

FROM debian:${DEBIAN}-slim
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3-jinja2 python3-lark python3-pycparser \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /image /
WORKDIR /work
ENTRYPOINT ["tpgen"]
