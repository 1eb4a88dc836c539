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
RUN cargo build --release --locked $BINARIES && find . -path ./target -prune -o -name '*.rs' -exec rm {} +
COPY . .
# Newer than the empty sources, whatever the time stamps in the checkout.
RUN find . -path ./target -prune -o -name '*.rs' -exec touch {} + && cargo build --release --locked $BINARIES \
    && mkdir /out && cd target/release && cp consumer-group-app consumer-app publisher /out/

FROM debian:bookworm-slim
WORKDIR /app
# For rediss:// URLs.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/ /usr/local/bin/
COPY config/ config/
RUN useradd --system --uid 10001 --no-create-home app
USER app
EXPOSE 5000 5001
CMD ["consumer-group-app"]
