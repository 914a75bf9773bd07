# The daemon and the command line, with tmux. It brings no agent: an image made from this one installs it, as
# temporal-compose/README.md shows. Runs as a user, whose id is that of who owns the projects.
ARG BASE=python:3.11.13-slim-bookworm

FROM ${BASE} AS build
WORKDIR /build
COPY requirements/run.txt .
RUN python3 -m venv /opt/stratavore \
    && /opt/stratavore/bin/pip install --no-cache-dir --no-deps --require-hashes --requirement run.txt
COPY pyproject.toml README.md LICENSE ./
COPY stratavore stratavore
COPY workflows workflows
COPY activities activities
COPY worker worker
COPY cli cli
RUN /opt/stratavore/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM ${BASE}
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates git procps tmux \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/stratavore /opt/stratavore
ARG UID=1000
RUN useradd --create-home --uid ${UID} stratavore \
    && install --directory --owner stratavore --mode 0700 /home/stratavore/state \
    && install --directory --owner stratavore /projects
USER stratavore
WORKDIR /projects
ENV PATH=/opt/stratavore/bin:/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8 STRATAVORE_HOME=/home/stratavore/state
VOLUME /home/stratavore/state
CMD ["stratavored"]
