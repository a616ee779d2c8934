//! Test cards, by the tokens and the numbers that Stripe documents.

use super::refusal::Refusal;

/// A test card.
#[derive(Debug)]
pub(super) struct TestCard {
    /// The token is `tok_` or `pm_card_` before this name.
    pub(super) name: &'static str,
    number: &'static str,
    pub(super) brand: &'static str,
    when_attached: Answer,
    when_charged: Answer,
}

/// How a bank answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Yes,
    /// It wants to see the holder.
    Authenticate,
    /// The code and the reason.
    No(&'static str, Option<&'static str>),
}

impl Answer {
    pub(super) fn refusal(self) -> Option<Refusal> {
        match self {
            Self::Yes => None,
            Self::Authenticate => Some(Refusal::card(
                "authentication_required",
                Some("authentication_required"),
                "Your card was declined. This transaction requires authentication.",
            )),
            Self::No(code, reason) => {
                let message = match code {
                    "expired_card" => "Your card has expired.",
                    "incorrect_cvc" => "Your card's security code is incorrect.",
                    "processing_error" => {
                        "An error occurred while processing your card. Try again in a little bit."
                    }
                    _ if reason == Some("insufficient_funds") => "Your card has insufficient funds.",
                    _ => "Your card was declined.",
                };
                Some(Refusal::card(code, reason, message))
            }
        }
    }
}

impl TestCard {
    /// The card of a token or a number.
    pub(super) fn find(token_or_number: &str) -> Option<&'static Self> {
        let name = token_or_number.strip_prefix("pm_card_").or_else(|| token_or_number.strip_prefix("tok_"));
        CARDS.iter().find(|card| Some(card.name) == name || card.number == token_or_number)
    }

    pub(super) fn last4(&self) -> &'static str {
        self.number.get(self.number.len().saturating_sub(4)..).unwrap_or_default()
    }

    pub(super) const fn when_attached(&self) -> Answer {
        self.when_attached
    }

    pub(super) const fn when_charged(&self) -> Answer {
        self.when_charged
    }
}

const fn good(name: &'static str, number: &'static str, brand: &'static str) -> TestCard {
    TestCard { name, number, brand, when_attached: Answer::Yes, when_charged: Answer::Yes }
}

const fn bad(
    name: &'static str,
    number: &'static str,
    code: &'static str,
    reason: Option<&'static str>,
) -> TestCard {
    let no = Answer::No(code, reason);
    TestCard { name, number, brand: "visa", when_attached: no, when_charged: no }
}

const fn later(name: &'static str, number: &'static str, when_charged: Answer) -> TestCard {
    TestCard { name, number, brand: "visa", when_attached: Answer::Yes, when_charged }
}

const CARDS: &[TestCard] = &[
    good("visa", "4242424242424242", "visa"),
    good("visa_debit", "4000056655665556", "visa"),
    good("mastercard", "5555555555554444", "mastercard"),
    good("amex", "378282246310005", "amex"),
    good("discover", "6011111111111117", "discover"),
    good("jcb", "3566002020360505", "jcb"),
    bad("chargeDeclined", "4000000000000002", "card_declined", Some("generic_decline")),
    bad("visa_chargeDeclined", "4000000000000002", "card_declined", Some("generic_decline")),
    bad("chargeDeclinedInsufficientFunds", "4000000000009995", "card_declined", Some("insufficient_funds")),
    bad(
        "visa_chargeDeclinedInsufficientFunds",
        "4000000000009995",
        "card_declined",
        Some("insufficient_funds"),
    ),
    bad("visa_chargeDeclinedLostCard", "4000000000009987", "card_declined", Some("lost_card")),
    bad("visa_chargeDeclinedStolenCard", "4000000000009979", "card_declined", Some("stolen_card")),
    bad("chargeDeclinedFraudulent", "4100000000000019", "card_declined", Some("fraudulent")),
    bad("chargeDeclinedExpiredCard", "4000000000000069", "expired_card", None),
    bad("chargeDeclinedIncorrectCvc", "4000000000000127", "incorrect_cvc", None),
    bad("chargeDeclinedProcessingError", "4000000000000119", "processing_error", None),
    later("chargeCustomerFail", "4000000000000341", Answer::No("card_declined", Some("generic_decline"))),
    later("authenticationRequired", "4000002760003184", Answer::Authenticate),
    later("authenticationRequiredOnSetup", "4000002500003155", Answer::Authenticate),
    later("threeDSecure2Required", "4000000000003220", Answer::Authenticate),
    later("threeDSecureRequired", "4000000000003063", Answer::Authenticate),
];
