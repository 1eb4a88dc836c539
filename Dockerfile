# One image with both services and the publisher.
#
# Dependencies are built in a layer of their own, from the manifests alone, so that a change of sources
# builds only our own crates again.

# The manifests, with empty sources in place of the real ones.
FROM rust:1.95-bookworm AS manifests
WORKDIR /src
COPY . .
RUN find . -type f ! -name Cargo.toml ! -name Cargo.lock -delete \
    && for manifest in $(find . -mindepth 2 -name Cargo.toml); do \
        dir=$(dirname "$manifest"); \
        mkdir -p "$dir/src" && echo 'fn main() {}' > "$dir/src/main.rs" && : > "$dir/src/lib.rs"; \
        for bench in $(grep -A1 '^\[\[bench\]\]' "$manifest" | sed -n 's/^name = "\(.*\)"/\1/p'); do \
            mkdir -p "$dir/benches" && echo 'fn main() {}' > "$dir/benches/$bench.rs"; \
        done; \
    done \
    && mkdir -p tests/harness tests/functional \
    && : > tests/harness/lib.rs && echo 'fn main() {}' > tests/functional/main.rs

FROM rust:1.95-bookworm AS build
WORKDIR /src
ARG BINARIES="--bin consumer-group-app --bin consumer-app --bin publisher"
COPY --from=manifests /src .
RUN cargo build --profile dist --locked $BINARIES && find . -path ./target -prune -o -name '*.rs' -exec rm {} +
COPY . .
# What `--version` says: --build-arg BUILD_COMMIT="$(git rev-parse --short=12 HEAD)", because .git does not come along.
ARG BUILD_COMMIT
ARG SOURCE_DATE_EPOCH
# Newer than the empty sources, whatever the time stamps in the checkout.
RUN find . -path ./target -prune -o -name '*.rs' -exec touch {} + \
    && cargo build --profile dist --locked $BINARIES
# The programs, the libraries they are linked with, and the certificates for rediss:// URLs. Names are looked up in
# /etc/hosts, then in DNS.
RUN mkdir -p /image/usr/local/bin /image/etc/ssl/certs \
    && cd target/dist && cp consumer-group-app consumer-app publisher /image/usr/local/bin/ \
    && ldd /image/usr/local/bin/* | grep -o '/lib[^ ]*' | sort -u | xargs cp --parents --dereference -t /image \
    && cp /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ \
    && echo 'hosts: files dns' > /image/etc/nsswitch.conf

# No shell, and no packages to keep up to date. The services check their health themselves (--checkHealth).
FROM scratch
COPY --from=build /image/ /
WORKDIR /app
COPY config/ config/
ENV PATH=/usr/local/bin
USER 10001:10001
EXPOSE 5000 5001
CMD ["consumer-group-app"]
