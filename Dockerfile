# tpgen in a container, made of Debian's packages and nothing else: docs/ci.md. To read kernels and packages that are
# compressed with zstd, tpgen needs Python 3.14 or the module backports.zstd. Debian 13 has neither: `--build-arg DEBIAN=sid`.
ARG DEBIAN=13

FROM debian:${DEBIAN}-slim AS build
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
    python3-hatchling python3-pip
COPY . /src
# The hook of the build makes completion for shells and manual pages, which a container does not need.
RUN HATCH_BUILD_NO_HOOKS=true pip install --no-index --no-deps --no-build-isolation --root /image --root-user-action ignore /src

FROM debian:${DEBIAN}-slim
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3-jinja2 python3-lark python3-pycparser \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /image /
WORKDIR /work
ENTRYPOINT ["tpgen"]
