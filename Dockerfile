# The action's image. Without a registry: --build-arg BASE=<any Debian with Python 3.11 or newer and its venv module>.
ARG BASE=python:3.14.6-slim@sha256:cea0e6040540fb2b965b6e7fb5ffa00871e632eef63719f0ea54bca189ce14a6

FROM ${BASE} AS build
COPY requirements/runtime.txt /build/
# pip works from an environment of its own, so that /venv holds only what runs. Wheels only: what building a source
# package needs is not in the lock file.
RUN python3 -m venv /build/venv \
 && python3 -m venv --without-pip /venv \
 && /build/venv/bin/python -m pip --python /venv/bin/python install --quiet --disable-pip-version-check \
      --no-cache-dir --no-compile --no-deps --only-binary :all: --require-hashes --requirement /build/runtime.txt \
 && find /venv/lib -type d \( -name tests -o -name __pycache__ \) -prune -exec rm -r {} +
COPY src /app/src
COPY templates /app/templates
# Compiled here, for no run of a container could keep what it compiles. Unchecked, for nothing changes inside an image:
# https://docs.python.org/3/reference/import.html#cached-bytecode-invalidation
# Readable for whatever user runs it, whatever the checkout's umask was. All of one date: the same packages are then the
# same layer, and who has an earlier version pulls our code only.
RUN /venv/bin/python -m compileall -q --invalidation-mode unchecked-hash /venv/lib /app/src \
 && chmod -R a+rX /venv /app \
 && find /venv /app -exec touch --no-dereference --date=@0 {} + \
 && mkdir /packages /code && mv /venv /packages && mv /app /code

FROM ${BASE}
LABEL org.opencontainers.image.title="dora-metrics" \
      org.opencontainers.image.description="DORA metrics of a GitHub repository" \
      org.opencontainers.image.licenses="Apache-2.0"
# Into the root: a folder that COPY makes would have the date of the build.
COPY --from=build /packages /
COPY --from=build /code /
# PYTHONSAFEPATH: the current directory is the user's workspace, and a yaml.py in it is not ours.
ENV PYTHONPATH=/app/src PYTHONSAFEPATH=1 PYTHONUTF8=1 PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    DORA_IN_CONTAINER=true
# No USER, on purpose: as a `docker://` step the image must be able to write $GITHUB_OUTPUT, which belongs to the
# runner's user, whoever that is. action/run.sh starts it as that user. No WORKDIR: the runner sets it.
# https://docs.github.com/en/actions/reference/workflows-and-actions/dockerfile-support#user
ENTRYPOINT ["/venv/bin/python", "-m", "dora_metrics"]
CMD ["action"]
