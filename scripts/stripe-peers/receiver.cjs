// Takes webhooks whose signature the official library accepts, and writes down their types.
const fs = require('node:fs');
const http = require('node:http');
const Stripe = require('stripe');

const [, , urlFile, takenFile] = process.argv;
const stripe = new Stripe('sk_test_peers');
fs.writeFileSync(takenFile, '');
const server = http.createServer((request, response) => {
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => {
    const body = Buffer.concat(chunks);
    try {
      const signature = request.headers['stripe-signature'];
      const secret = process.env.STRIPE_WEBHOOK_SECRET;
      const verified = stripe.webhooks.signature.verifyHeader(body, signature, secret, 300);
      if (!verified) throw new Error('not verified');
      const event = JSON.parse(body);
      // Thin events have a reader of their own.
      if (event.object === 'event') stripe.webhooks.constructEvent(body, signature, secret);
      fs.appendFileSync(takenFile, `${event.type}\n`);
      response.writeHead(200).end();
    } catch (error) {
      fs.appendFileSync(`${takenFile}.refused`, `${error.message}\n`);
      response.writeHead(400).end();
    }
  });
});
server.listen(0, '127.0.0.1', () => {
  fs.writeFileSync(urlFile, `http://127.0.0.1:${server.address().port}/hook`);
});
