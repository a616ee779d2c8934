//! For daily work: checking and reading a webhook. `cargo bench -p benches --no-default-features --bench webhook`

use std::hint::black_box;

use billing_stripe::signature::{SigningSecret, Tolerance, sign, verify};
use billing_stripe::webhook::Envelope;
use chrono::{DateTime, Utc};
use criterion::{Criterion, criterion_group, criterion_main};

const BODY: &[u8] = include_bytes!("../src/webhook/event.json");

fn webhook(criterion: &mut Criterion) {
    let secret = match SigningSecret::new("whsec_of_the_benchmark") {
        Ok(secret) => [secret],
        Err(error) => unreachable!("{error}"),
    };
    let header = sign(BODY, &secret[0], DateTime::<Utc>::UNIX_EPOCH);
    criterion.bench_function("webhook, verify", |bencher| {
        bencher.iter(|| {
            verify(black_box(BODY), &header, &secret, DateTime::<Utc>::UNIX_EPOCH, Tolerance::DEFAULT)
        });
    });
    criterion.bench_function("webhook, read", |bencher| bencher.iter(|| Envelope::read(black_box(BODY))));
}

criterion_group!(benches, webhook);
criterion_main!(benches);
