// Writes a program that assigns what the fake answers to the official types.
const fs = require('node:fs');

const base = process.env.FAKE_BASE;
const get = async (path) => (await fetch(base + path, { headers: { authorization: 'Bearer sk_test_peers' } })).json();

// Amounts with decimals are texts on the wire and objects in the library; old names are sent, but not in the types.
const asOnTheWire = (value) => {
  if (Array.isArray(value)) return value.map(asOnTheWire);
  if (value === null || typeof value !== 'object') return value;
  const fields = Object.entries(value).filter(([key]) => !key.endsWith('_decimal') && key !== 'plan' && key !== 'total_count');
  return Object.fromEntries(fields.map(([key, inner]) => [key, asOnTheWire(inner)]));
};

(async () => {
  const lists = {
    Customer: '/v1/customers', Subscription: '/v1/subscriptions?status=all', Invoice: '/v1/invoices',
    Price: '/v1/prices', Product: '/v1/products', 'Billing.Meter': '/v1/billing/meters',
  };
  let program = "import Stripe from 'stripe';\n";
  program += 'type Wire<T> = T extends Array<infer U> ? Array<Wire<U>> : T extends object ? { [K in keyof T as K extends ';
  program += "`${string}_decimal` | 'plan' | 'lastResponse' ? never : K]: Wire<T[K]> } : T;\n";
  let count = 0;
  for (const [type, path] of Object.entries(lists)) {
    const page = await get(`${path}${path.includes('?') ? '&' : '?'}limit=20`);
    for (const object of page.data) {
      count += 1;
      program += `export const o${count}: Wire<Stripe.${type}> = ${JSON.stringify(asOnTheWire(object))};\n`;
    }
  }
  fs.writeFileSync(process.argv[2], program);
  console.log(`${count} objects`);
})();
