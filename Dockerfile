# Image of the yieldcast command. Written and linted, not built: no container engine was available.
# Build stage: the package and its dependencies in a virtual environment.
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
COPY setup.cfg pyproject.toml requirements.lock README.md LICENSE ./
COPY calendars calendars
COPY data_fetchers data_fetchers
COPY yieldcast yieldcast
RUN python -m venv /opt/yieldcast \
    && /opt/yieldcast/bin/pip install --no-cache-dir -c requirements.lock ".[geo,report,workspace,postgres]"

# Final stage: Python and that environment, nothing of the build.
FROM python:3.11-slim-bookworm
# libexpat: the GDAL of rasterio's and pyogrio's wheels expects it from the system. Debian keeps only the
# newest build of a package, so that a pinned one would soon be gone.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends libexpat1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 10001 yieldcast \
    && install -d -o yieldcast -g yieldcast /data
COPY --from=build /opt/yieldcast /opt/yieldcast
ENV PATH=/opt/yieldcast/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    TF_CPP_MIN_LOG_LEVEL=3
USER 10001
# Store, runs and bulletins; keys come from the environment (CDSAPI_URL, CDSAPI_KEY), never from the image.
VOLUME /data
WORKDIR /data
ENTRYPOINT ["yieldcast"]
CMD ["--help"]
