"""The official Python SDK as a client of the fake."""

import os
import urllib.request

import stripe

BASE = os.environ["FAKE_BASE"]
client = stripe.StripeClient("sk_test_peers", base_addresses={"api": BASE}, max_network_retries=1)
v1 = client.v1


def advance(seconds):
    urllib.request.urlopen(f"{BASE}/_fake/advance", data=str(seconds).encode()).read()


def refused(kind, call):
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} was expected")


def ok(name):
    print(f"ok - {name}")


# The signature that billing-stripe/tests/signature.rs accepts and makes.
known = "t=1767225600,v1=2031139a3ce9ce8cfb517c0836fc2dca021eb1d87ceae8fbb1e8ed1f164fd746"
payload = '{"id":"evt_1","object":"event"}'
assert stripe.WebhookSignature.generate_signature_header(payload, "whsec_known_answer", 1767225600) == known
assert stripe.WebhookSignature.verify_header(payload, known, "whsec_known_answer", tolerance=None)
ok("the SDK signs what our verifier accepts, and accepts what we sign")

customer = v1.customers.create({"email": "python@example.com", "metadata": {"company": "acme"}})
method = v1.payment_methods.attach("pm_card_mastercard", {"customer": customer.id})
v1.customers.update(customer.id, {"invoice_settings": {"default_payment_method": method.id}})
product = v1.products.create({"name": "Pro"})
price = v1.prices.create(
    {"product": product.id, "currency": "usd", "unit_amount": 1500, "recurring": {"interval": "month"}, "lookup_key": "py"}
)
assert v1.prices.list({"lookup_keys": ["py"]}).data[0].id == price.id
subscription = v1.subscriptions.create(
    {"customer": customer.id, "items": [{"price": price.id}], "expand": ["latest_invoice"]},
    {"idempotency_key": "python-key-1"},
)
assert subscription.status == "active" and subscription.latest_invoice.status == "paid"
again = v1.subscriptions.create(
    {"customer": customer.id, "items": [{"price": price.id}], "expand": ["latest_invoice"]},
    {"idempotency_key": "python-key-1"},
)
assert again.id == subscription.id
ok("a subscription is bought once by its key")

advance(32 * 86400)
renewed = v1.subscriptions.retrieve(subscription.id)
item, old = renewed["items"].data[0], subscription["items"].data[0]
assert item.current_period_start == old.current_period_end, "the period follows"
reasons = [it.billing_reason for it in v1.invoices.list({"subscription": subscription.id})]
assert reasons == ["subscription_cycle", "subscription_create"], reasons
ok("it renews when time passes")

error = refused(
    stripe.CardError, lambda: v1.payment_methods.attach("pm_card_chargeDeclinedInsufficientFunds", {"customer": customer.id})
)
assert error.error.decline_code == "insufficient_funds"
error = refused(
    stripe.InvalidRequestError,
    lambda: v1.subscriptions.create({"customer": customer.id, "items": [{"price": "price_nothing"}]}),
)
assert (error.code, error.param) == ("resource_missing", "items[0][price]")
refused(stripe.IdempotencyError, lambda: v1.customers.create({"name": "x"}, {"idempotency_key": "python-key-1"}))
ok("refusals are the official errors")

all_events = [event.type for event in v1.events.list({"limit": 3}).auto_paging_iter()]
assert all_events.count("customer.subscription.created") >= 1 and "invoice.paid" in all_events
ok("events are listed page by page")

v1.subscriptions.cancel(subscription.id)
assert v1.subscriptions.retrieve(subscription.id).status == "canceled"
assert v1.customers.delete(customer.id).deleted
ok("it ends")
