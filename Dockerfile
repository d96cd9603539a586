# The project's workers in a container:
#   docker build --tag nycflights:0.1.0 .
#   docker run nycflights:0.1.0 run flight-status --workers 2
# Inside is what runs them and nothing else: no build tools of the system, no embedded Kafka, no demo, no root.
FROM python:3.13.7-slim-bookworm AS build

RUN python -m venv /opt/penstock
ENV PATH=/opt/penstock/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /build
# The lock first: it changes seldom, and its layer is kept.
COPY requirements/worker.txt requirements/worker.txt
RUN pip install --require-hashes --requirement requirements/worker.txt
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN pip install --no-deps --no-build-isolation .


FROM python:3.13.7-slim-bookworm

# The state directory has to be the worker's own, and so has a volume that is mounted there for the first time.
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin penstock \
    && install --directory --owner penstock --group penstock --mode 0700 /var/lib/penstock
COPY --from=build /opt/penstock /opt/penstock
WORKDIR /app
COPY penstock.toml ./
COPY schemas schemas
COPY producers producers
COPY processors processors
# docker build --build-arg COMMIT="$(git rev-parse --short HEAD)": told in metrics, and drawn as a deploy.
ARG COMMIT=""
ENV PATH=/opt/penstock/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PENSTOCK_MONITORING__COMMIT=$COMMIT \
    PENSTOCK_STATE__DIRECTORY=/var/lib/penstock
VOLUME /var/lib/penstock
USER 10001
# The supervisor and a single worker both commit what is done and leave the group.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 \
    CMD ["python", "-m", "penstock.supervisor.heartbeat", "/var/lib/penstock"]
ENTRYPOINT ["penstock"]
CMD ["--help"]
