// The official Node SDK as a client of the fake, and as a signer whose signature our verifier is tested with.
const assert = require('node:assert/strict');
const Stripe = require('stripe');

const base = new URL(process.env.FAKE_BASE);
const stripe = new Stripe('sk_test_peers', {
  host: base.hostname,
  port: base.port,
  protocol: 'http',
  maxNetworkRetries: 1,
  telemetry: false,
});
const advance = async (seconds) => {
  const answer = await fetch(`${base.origin}/_fake/advance`, { method: 'POST', body: String(seconds) });
  assert.equal(answer.status, 200);
};
const DAY = 86400;

async function subscribed(card, extra = {}) {
  const customer = await stripe.customers.create({ email: 'node@example.com', metadata: { company: 'acme' } });
  const method = await stripe.paymentMethods.attach(card, { customer: customer.id });
  await stripe.customers.update(customer.id, { invoice_settings: { default_payment_method: method.id } });
  const product = await stripe.products.create({ name: 'Pro' });
  const price = await stripe.prices.create({
    product: product.id, currency: 'eur', unit_amount: 2900, recurring: { interval: 'month' },
  });
  const subscription = await stripe.subscriptions.create({
    customer: customer.id, items: [{ price: price.id, quantity: 2 }],
    expand: ['latest_invoice.confirmation_secret', 'latest_invoice.payments', 'default_payment_method'], ...extra,
  });
  return { customer, price, subscription };
}

// The signature that billing-stripe/tests/signature.rs accepts and makes.
const KNOWN = 't=1767225600,v1=2031139a3ce9ce8cfb517c0836fc2dca021eb1d87ceae8fbb1e8ed1f164fd746';

const stories = {
  async 'the SDK signs what our verifier accepts'() {
    const payload = '{"id":"evt_1","object":"event"}';
    const header = stripe.webhooks.generateTestHeaderString({
      payload, secret: 'whsec_known_answer', timestamp: 1767225600,
    });
    assert.equal(header, KNOWN);
  },
  async 'a subscription is bought, grows and is cancelled'() {
    const { subscription, customer } = await subscribed('pm_card_visa');
    assert.equal(subscription.status, 'active');
    assert.equal(subscription.latest_invoice.amount_paid, 5800);
    assert.equal(subscription.latest_invoice.payments.data[0].status, 'paid');
    const item = subscription.items.data[0];
    const grown = await stripe.subscriptions.update(subscription.id, {
      items: [{ id: item.id, quantity: 5 }], proration_behavior: 'always_invoice', expand: ['latest_invoice'],
    });
    assert.equal(grown.items.data[0].quantity, 5);
    assert.equal(grown.latest_invoice.billing_reason, 'subscription_update');
    const ending = await stripe.subscriptions.update(subscription.id, { cancel_at_period_end: true });
    assert.equal(ending.cancel_at, ending.items.data[0].current_period_end);
    const kept = await stripe.subscriptions.update(subscription.id, { cancel_at_period_end: false });
    assert.equal(kept.cancel_at, null);
    const ended = await stripe.subscriptions.cancel(subscription.id);
    assert.equal(ended.status, 'canceled');
    const listed = await stripe.subscriptions.list({ customer: customer.id, status: 'all' });
    assert.deepEqual(listed.data.map((it) => it.id), [subscription.id]);
  },
  async 'a trial becomes a paid period when time passes'() {
    const { subscription } = await subscribed('pm_card_visa', { trial_period_days: 7 });
    assert.equal(subscription.status, 'trialing');
    await advance(7 * DAY + 3600);
    const paid = await stripe.subscriptions.retrieve(subscription.id, { expand: ['latest_invoice'] });
    assert.equal(paid.status, 'active');
    assert.equal(paid.latest_invoice.status, 'paid');
  },
  async 'a renewal fails, is past due and recovers'() {
    const { subscription, customer } = await subscribed('pm_card_visa');
    const bad = await stripe.paymentMethods.attach('pm_card_chargeCustomerFail', { customer: customer.id });
    await stripe.customers.update(customer.id, { invoice_settings: { default_payment_method: bad.id } });
    await advance(32 * DAY);
    const late = await stripe.subscriptions.retrieve(subscription.id);
    assert.equal(late.status, 'past_due');
    const good = await stripe.paymentMethods.attach('pm_card_visa', { customer: customer.id });
    const paid = await stripe.invoices.pay(late.latest_invoice, { payment_method: good.id });
    assert.equal(paid.status, 'paid');
    assert.equal((await stripe.subscriptions.retrieve(subscription.id)).status, 'active');
  },
  async 'a pause is resumed'() {
    const { subscription } = await subscribed('pm_card_visa');
    const paused = await stripe.subscriptions.pause(subscription.id);
    assert.equal(paused.status, 'paused');
    assert.equal(paused.status_details.paused.subscription.type, 'pause_requested');
    assert.equal((await stripe.subscriptions.resume(subscription.id)).status, 'active');
  },
  async 'refusals are the official errors'() {
    const customer = await stripe.customers.create();
    await assert.rejects(stripe.paymentMethods.attach('pm_card_chargeDeclined', { customer: customer.id }), (error) => {
      assert.ok(error instanceof Stripe.errors.StripeCardError);
      assert.equal(error.decline_code, 'generic_decline');
      assert.ok(error.requestId.startsWith('req_'));
      return true;
    });
    await assert.rejects(stripe.subscriptions.retrieve('sub_nothing'), Stripe.errors.StripeInvalidRequestError);
    const strangers = new Stripe('sk_live_peers', { host: base.hostname, port: base.port, protocol: 'http' });
    await assert.rejects(strangers.customers.list(), Stripe.errors.StripeAuthenticationError);
  },
  async 'an idempotency key has one effect and one meaning'() {
    const options = { idempotencyKey: 'node-key-1' };
    const one = await stripe.customers.create({ name: 'One' }, options);
    const again = await stripe.customers.create({ name: 'One' }, options);
    assert.equal(again.id, one.id);
    assert.equal(again.lastResponse.headers['idempotent-replayed'], 'true');
    await assert.rejects(stripe.customers.create({ name: 'Two' }, options), Stripe.errors.StripeIdempotencyError);
  },
  async 'the portal, meters, events and search'() {
    const customer = await stripe.customers.create({ metadata: { company: 'searched' } });
    const found = await stripe.customers.search({ query: "metadata['company']:'searched'" });
    assert.equal(found.data[0].id, customer.id);
    const session = await stripe.billingPortal.sessions.create({ customer: customer.id, return_url: 'https://a.example' });
    assert.equal((await fetch(session.url)).status, 200);
    const meter = await stripe.billing.meters.create({
      display_name: 'Tokens', event_name: 'tokens', default_aggregation: { formula: 'sum' },
    });
    const now = (await stripe.customers.create()).created;
    for (const identifier of ['u1', 'u2']) {
      await stripe.billing.meterEvents.create({
        event_name: 'tokens', identifier, timestamp: now, payload: { stripe_customer_id: customer.id, value: '21' },
      });
    }
    const counted = async () => {
      const sums = await stripe.billing.meters.listEventSummaries(meter.id, {
        customer: customer.id, start_time: now - 60, end_time: now + 60,
      });
      return sums.data[0].aggregated_value;
    };
    assert.equal(await counted(), 42);
    const again = stripe.billing.meterEvents.create({
      event_name: 'tokens', identifier: 'u2', timestamp: now, payload: { stripe_customer_id: customer.id, value: '21' },
    });
    await assert.rejects(again, /already exists with identifier u2/);
    await stripe.billing.meterEventAdjustments.create({
      event_name: 'tokens', type: 'cancel', cancel: { identifier: 'u2' },
    });
    assert.equal(await counted(), 21);
    let count = 0;
    for await (const event of stripe.events.list({ limit: 5, types: ['customer.created'] })) {
      assert.equal(event.type, 'customer.created');
      count += 1;
      if (count === 7) break;
    }
    assert.equal(count, 7, 'pages follow each other');
  },
  async 'an endpoint that the SDK makes has a secret'() {
    const endpoint = await stripe.webhookEndpoints.create({
      url: 'http://127.0.0.1:9/hook', enabled_events: ['invoice.paid'],
    });
    assert.match(endpoint.secret, /^whsec_/);
    assert.equal((await stripe.webhookEndpoints.del(endpoint.id)).deleted, true);
  },
};

(async () => {
  for (const [name, story] of Object.entries(stories)) {
    await story();
    console.log(`ok - ${name}`);
  }
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
