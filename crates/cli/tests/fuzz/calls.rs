//! Every call of every API with a sound path and body. `$NAME` stands for what the world has by that name; of numbers, which
//! bodies have without quotes, 900000001 for the mobile card's and 900000002 for an invoice's.

/// An API by the name of its document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Api {
    Dashboard,
    Baas,
    Mobile,
    Ops,
    Sandbox,
}

use Api::{Baas, Dashboard, Mobile, Ops, Sandbox};

impl Api {
    pub(crate) const ALL: [Self; 5] = [Dashboard, Baas, Mobile, Ops, Sandbox];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Dashboard => "dashboard",
            Baas => "baas",
            Mobile => "mobile",
            Ops => "ops",
            Sandbox => "sandbox",
        }
    }
}

/// A call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub(crate) api: Api,
    pub(crate) method: &'static str,
    /// As the document has it.
    pub(crate) route: &'static str,
    /// As it is called.
    pub(crate) path: &'static str,
    /// A sound body; empty: none.
    pub(crate) body: &'static str,
}

const fn get(api: Api, route: &'static str, path: &'static str) -> Call {
    Call { api, method: "get", route, path, body: "" }
}

const fn put(api: Api, route: &'static str, path: &'static str, body: &'static str) -> Call {
    Call { api, method: "put", route, path, body }
}

const fn post(api: Api, route: &'static str, path: &'static str, body: &'static str) -> Call {
    Call { api, method: "post", route, path, body }
}

const REASON: &str = r#"{"reason":"asked for"}"#;
const PAYMENT: &str = r#"{"token_address":"0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48","delivery_provider":"DHL"}"#;
const PLASTIC: &str = r#"{"delivery_id":900000002,"delivery_provider":"DHL","card_name":"My Travel Card","name_on_card":"Alex Grey","delivery_address":{"line1":"10 Downing Street","line2":"Flat 2","city":"London","state":"","zip_code":"SW1A 2AA","country":"GB"}}"#;
const MONEY: &str = r#"{"asset":"USD","amount":250.00,"reference":"wire 4711"}"#;
const PURCHASE: &str = r#"{"card_id":"$alice","amount":1.50,"currency":"USD","merchant":"Blue Bottle","mcc":5814,"country":"GB","card_present":true,"pin_entered":true,"network_id":"n-1"}"#;
const CREDIT: &str =
    r#"{"card_id":"$alice","amount":1.50,"merchant":"Shop","mcc":5814,"country":"GB","network_id":"n-2"}"#;
const PART: &str = r#"{"amount":0.50,"card_id":"$alice","network_id":"n-3"}"#;
const VERIFIED: &str =
    r#"{"status":"Approved","levels":[{"type":"SDD","status":"Approved","name":"Simplified due diligence"}]}"#;

pub(crate) const CALLS: &[Call] = &[
    get(Dashboard, "/users/{userId}/cards", "/users/alice/cards"),
    post(Dashboard, "/users/{userId}/cards", "/users/alice/cards", r#"{"cardName":"Travel","initialBalance":100.00}"#),
    get(Dashboard, "/users/{userId}/cards/{cardId}", "/users/alice/cards/$alice"),
    get(Dashboard, "/users/{userId}/cards/{cardId}/otp", "/users/alice/cards/$alice/otp"),
    post(Dashboard, "/users/{userId}/cards/{cardId}/topup", "/users/alice/cards/$alice/topup", r#"{"amount":10.00}"#),
    get(Dashboard, "/users/{userId}/cards/{cardId}/transactions", "/users/alice/cards/$alice/transactions?limit=5"),
    get(Baas, "/api/v1/cards", "/api/v1/cards"),
    get(Baas, "/api/v1/cards/delivery/countries", "/api/v1/cards/delivery/countries"),
    get(Baas, "/api/v1/cards/delivery/methods/{country}", "/api/v1/cards/delivery/methods/GB"),
    put(
        Baas,
        "/api/v1/cards/{cardId}/activate",
        "/api/v1/cards/$plastic/activate",
        r#"{"card_number_last4":"$last4","expiry_date":"$expiry"}"#,
    ),
    put(Baas, "/api/v1/cards/{cardId}/block", "/api/v1/cards/$baas/block", ""),
    put(Baas, "/api/v1/cards/{cardId}/unblock", "/api/v1/cards/$baas/unblock", ""),
    put(Baas, "/api/v1/cards/{cardId}/close", "/api/v1/cards/$spare/close", ""),
    get(Baas, "/api/v1/cards/{cardId}/cvv", "/api/v1/cards/$baas/cvv"),
    get(Baas, "/api/v1/cards/{cardId}/details", "/api/v1/cards/$baas/details"),
    get(Baas, "/api/v1/cards/{cardId}/pin", "/api/v1/cards/$plastic/pin"),
    put(
        Baas,
        "/api/v1/cards/{cardId}/limit",
        "/api/v1/cards/$baas/limit",
        r#"{"transaction_limit":500.00,"daily_limit":1000.00,"monthly_limit":5000.00,"lifetime_limit":null}"#,
    ),
    get(Baas, "/api/v1/cards/{type}/fees/{country}", "/api/v1/cards/Virtual/fees/GB"),
    post(Baas, "/api/v2/cards/{type}/fees/{country}/payment", "/api/v2/cards/Plastic/fees/GB/payment", PAYMENT),
    post(
        Baas,
        "/api/v2/cards/virtual",
        "/api/v2/cards/virtual",
        r#"{"delivery_id":900000002,"card_name":"My Shopping Card","name_on_card":"Alex Grey"}"#,
    ),
    post(Baas, "/api/v2/cards/plastic", "/api/v2/cards/plastic", PLASTIC),
    get(Baas, "/api/v2/user", "/api/v2/user"),
    get(Mobile, "/api/v1/cards", "/api/v1/cards?page=1&limit=10&card_type=VIRTUAL&status=ACTIVE&search=a"),
    get(Mobile, "/api/v1/cards/{uuid}", "/api/v1/cards/$carol"),
    post(Mobile, "/api/v1/cards/get-by-number", "/api/v1/cards/get-by-number", r#"{"card_number":"4111111111111111"}"#),
    post(
        Mobile,
        "/api/v1/cards/update-status",
        "/api/v1/cards/update-status",
        r#"{"card_id":900000001,"card_status":"FROZEN"}"#,
    ),
    post(
        Mobile,
        "/api/v1/cards/blocked-appeal",
        "/api/v1/cards/blocked-appeal",
        r#"{"card_id":900000001,"request_message":"Please review and unblock this card."}"#,
    ),
    get(Mobile, "/api/v1/cards/blocked-appeal/status/{card_id}", "/api/v1/cards/blocked-appeal/status/900000001"),
    post(
        Mobile,
        "/api/v1/cards/transaction-limit",
        "/api/v1/cards/transaction-limit",
        r#"{"card_id":900000001,"limit_per_transaction":250}"#,
    ),
    post(
        Mobile,
        "/api/v1/cards/no-pin-payment",
        "/api/v1/cards/no-pin-payment",
        r#"{"card_id":900000001,"no_pin_payment_amount":50}"#,
    ),
    post(Mobile, "/api/v1/cards/show-cvv", "/api/v1/cards/show-cvv", r#"{"card_id":900000001}"#),
    post(Mobile, "/api/v1/cards/show-cvv-iframe", "/api/v1/cards/show-cvv-iframe", r#"{"card_id":900000001}"#),
    post(
        Mobile,
        "/api/v1/cards/activate",
        "/api/v1/cards/activate",
        r#"{"card_id":900000001,"card_number_last4":"1234","expiry_date":"11/29"}"#,
    ),
    post(Mobile, "/api/v1/cards/{uuid}/transfer", "/api/v1/cards/$carol/transfer", r#"{"amount":10.00}"#),
    post(Mobile, "/api/v1/cards/{uuid}/withdraw", "/api/v1/cards/$carol/withdraw", r#"{"amount":10.00}"#),
    post(Mobile, "/api/v1/card-requests", "/api/v1/card-requests", r#"{"card_type":"VIRTUAL","card_name":"Travel"}"#),
    get(Mobile, "/api/v1/card-requests/{id}", "/api/v1/card-requests/$request"),
    get(Ops, "/appeals", "/appeals?status=open"),
    post(Ops, "/appeals/{id}/{decision}", "/appeals/$alice/approve", REASON),
    get(Ops, "/card-requests", "/card-requests?status=open"),
    post(Ops, "/card-requests/{id}/{decision}", "/card-requests/$request/approve", REASON),
    get(Ops, "/cards/{cardId}", "/cards/$alice"),
    get(Ops, "/cards/{cardId}/history", "/cards/$alice/history"),
    post(Ops, "/cards/{cardId}/{action}", "/cards/$spare/freeze", r#"{"reason":"lost","fraud":false}"#),
    get(Ops, "/dead-letters", "/dead-letters"),
    post(Ops, "/dead-letters/{id}/{action}", "/dead-letters/7/retry", ""),
    get(Ops, "/followers", "/followers"),
    get(Ops, "/pending", "/pending"),
    get(Ops, "/policy", "/policy"),
    put(Ops, "/policy", "/policy?version=9", "$policy"),
    get(Ops, "/processors", "/processors"),
    post(Ops, "/processors/{partition}/confirm-clock", "/processors/0/confirm-clock", ""),
    get(Ops, "/trial-balance", "/trial-balance"),
    post(Ops, "/users", "/users", r#"{"company":"demo","user":"dave","country":"GB"}"#),
    get(Ops, "/users/{company}/{user}", "/users/demo/alice"),
    post(Ops, "/users/{company}/{user}/deposits", "/users/demo/bob/deposits", MONEY),
    post(Ops, "/users/{company}/{user}/withdrawals", "/users/demo/bob/withdrawals", MONEY),
    post(
        Ops,
        "/users/{company}/{user}/write-offs",
        "/users/demo/bob/write-offs",
        r#"{"asset":"USD","amount":12.50,"card_id":"$spare","reason":"small"}"#,
    ),
    put(Ops, "/users/{company}/{user}/verification", "/users/demo/bob/verification", VERIFIED),
    Call {
        api: Ops,
        method: "delete",
        route: "/users/{company}/{user}/personal-data",
        path: "/users/demo/erin/personal-data",
        body: "",
    },
    get(Ops, "/webhooks", "/webhooks"),
    put(
        Ops,
        "/webhooks/{company}",
        "/webhooks/other",
        r#"{"url":"https://hooks.example.com/florin","secret":null,"rotate_secret":false,"enabled":false}"#,
    ),
    post(Ops, "/webhooks/{company}/replay", "/webhooks/other/replay", r#"{"from":"0-120.7"}"#),
    post(Ops, "/webhooks/{id}/resend", "/webhooks/$alice/resend", ""),
    post(Sandbox, "/authorizations", "/authorizations", PURCHASE),
    get(Sandbox, "/authorizations/{id}", "/authorizations/$authorization"),
    post(Sandbox, "/authorizations/{id}/increment", "/authorizations/$authorization/increment", PART),
    post(
        Sandbox,
        "/authorizations/{id}/clear",
        "/authorizations/$authorization/clear",
        r#"{"amount":0.50,"final":false,"card_id":"$alice","network_id":"n-4"}"#,
    ),
    post(Sandbox, "/authorizations/{id}/reverse", "/authorizations/n-9/reverse", PART),
    post(Sandbox, "/authorizations/{id}/expire", "/authorizations/n-9/expire", ""),
    post(Sandbox, "/authorizations/{id}/refund", "/authorizations/$authorization/refund", PART),
    post(Sandbox, "/refunds", "/refunds", CREDIT),
    post(Sandbox, "/force-posts", "/force-posts", CREDIT),
    get(Sandbox, "/issuer", "/issuer"),
    put(
        Sandbox,
        "/issuer",
        "/issuer",
        r#"{"failure_rate":0.0,"latency_ms":0,"timeout":false,"refuse":false,"answer_twice":false,"lose_answers":false,"applies_to":["issue"]}"#,
    ),
    get(Sandbox, "/issuer/cards", "/issuer/cards"),
    get(Sandbox, "/issuer/cards/{cardId}", "/issuer/cards/$alice"),
    post(Sandbox, "/issuer/cards/{cardId}/use-code", "/issuer/cards/$alice/use-code", r#"{"code":"123456"}"#),
];
