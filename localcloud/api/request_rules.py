"""Rules that the gateway checks before a request reaches a service."""

from __future__ import annotations

from localcloud.rules.refusal import assumed, documented, rule

_SIGNATURE = documented("signature v3 (TC3-HMAC-SHA256); v1 (HmacSHA1, HmacSHA256) is 213/15693", page="213/30654")
_COMMON = documented("the common error codes of API 3.0", page="213/30435")
_STRUCTURE = "request structure: a GET, and a POST signed with v1, are forms; a POST signed with v3 is JSON"


CredentialUnknown = rule(
    "AuthFailure.SecretIdNotFound",
    "The SecretId must identify an existing credential.",
    _SIGNATURE,
    template="The SecretId is not found, please ensure that your SecretId is correct.",
)
SignatureWrong = rule(
    "AuthFailure.SignatureFailure",
    "The signature must match the request and the secret key.",
    _SIGNATURE,
    template="The provided credentials could not be validated. Please check your signature is correct. "
    "(localcloud: {hint})",
)
SignatureExpired = rule(
    "AuthFailure.SignatureExpire",
    "The timestamp must be within 5 minutes of the server's time.",
    _SIGNATURE,
    template="The provided credentials could not be validated because of exceeding request time limit. "
    "(localcloud: request {timestamp}, server {now})",
)
AuthorizationMalformed = rule(
    "AuthFailure.InvalidAuthorization",
    "The Authorization header must have the form of TC3-HMAC-SHA256; its scope must have the request's date and "
    "service.",
    _SIGNATURE,
)
BodyNotJson = rule("InvalidParameter", "The body must be one JSON object.", _COMMON)
ContentTypeWrong = rule(
    "InvalidParameter",
    "A POST signed with v3 must have the content type application/json; a GET or v1 request must be a form.",
    documented(_STRUCTURE + "; multipart/form-data is not emulated", page="213/30654"),
)
InvalidAction = rule("InvalidAction", "The action must exist in the service.", _COMMON)
ActionNotEmulated = rule(
    "UnsupportedOperation",
    "An existing action that localcloud does not emulate is rejected with the name of the page that lists the emulated "
    "ones.",
    assumed("limit of localcloud; the real cloud has the action"),
    template="localcloud does not emulate {service} {action}; docs/localcloud.md and `localcloud actions` list what it "
    "does.",
)
ParameterNotEmulated = rule(
    "InvalidParameterValue",
    "A parameter for a feature that localcloud does not emulate must be absent, empty or off.",
    assumed("limit of localcloud: the features are in localcloud/api/unemulated.py"),
)
NoSuchVersion = rule("NoSuchVersion", "X-TC-Version must be the version of the service.", _COMMON)
UnsupportedRegion = rule("UnsupportedRegion", "X-TC-Region must be a region of the cloud.", _COMMON)
ServiceUnknown = rule(
    "NoSuchProduct",
    "The host's first label and the signature's scope must name a service of localcloud.",
    documented("common error codes: NoSuchProduct, the product does not exist", page="213/30435"),
)
UnsupportedProtocol = rule(
    "UnsupportedProtocol", "A request must be a POST, or a GET with its parameters in the query.", _COMMON
)
RequestTooLarge = rule(
    "RequestSizeLimitExceeded",
    "A GET can have at most 32 KiB, a POST signed with v1 at most 1 MiB, a POST signed with v3 at most 10 MiB.",
    documented("request structure: GET 32 KB, POST 1 MB with v1, 10 MB with v3", page="213/30654"),
)
TooManyRequests = rule(
    "RequestLimitExceeded",
    "An account can call an action at most as often per second as the action's page states, usually 20 times.",
    documented("RequestLimitExceeded; the figures and their pages: localcloud/api/rates.py", page="213/30435"),
    template="Your current request times equals to `{count}` in a second, which exceeds the frequency limit `{limit}` "
    "for a second. Please reduce the frequency of calls.",
)
InternalError = rule("InternalError", "localcloud failed internally; its log has the traceback.", _COMMON)
