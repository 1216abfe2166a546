"""Rules that the gateway checks before a request reaches a service."""

from __future__ import annotations

from localcloud.rules.refusal import Refusal, assumed, documented

_SIGNATURE = documented("signature v3 (TC3-HMAC-SHA256); v1 (HmacSHA1, HmacSHA256) is 213/15693", page="213/30654")
_COMMON = documented("the common error codes of API 3.0", page="213/30435")
_STRUCTURE = "request structure: a GET, and a POST signed with v1, are forms; a POST signed with v3 is JSON"


class CredentialUnknown(Refusal):
    """The SecretId must identify an existing credential."""

    code = "AuthFailure.SecretIdNotFound"
    template = "The SecretId is not found, please ensure that your SecretId is correct."
    source = _SIGNATURE


class SignatureWrong(Refusal):
    """The signature must match the request and the secret key."""

    code = "AuthFailure.SignatureFailure"
    template = (
        "The provided credentials could not be validated. Please check your signature is correct. (localcloud: {hint})"
    )
    source = _SIGNATURE


class SignatureExpired(Refusal):
    """The timestamp must be within 5 minutes of the server's time."""

    code = "AuthFailure.SignatureExpire"
    template = (
        "The provided credentials could not be validated because of exceeding request time limit. "
        "(localcloud: request {timestamp}, server {now})"
    )
    source = _SIGNATURE


class AuthorizationMalformed(Refusal):
    """The Authorization header must have the form of TC3-HMAC-SHA256; its scope must have the request's date and
    service.
    """

    code = "AuthFailure.InvalidAuthorization"
    template = "The Authorization header is not valid: {reason}."
    source = _SIGNATURE


class BodyNotJson(Refusal):
    """The body must be one JSON object."""

    code = "InvalidParameter"
    template = "The request body is not a JSON object: {reason}."
    source = _COMMON


class ContentTypeWrong(Refusal):
    """A POST signed with v3 must have the content type application/json; a GET or v1 request must be a form."""

    code = "InvalidParameter"
    template = "The content type `{content_type}` is not supported here: use {expected}."
    source = documented(_STRUCTURE + "; multipart/form-data is not emulated", page="213/30654")


class InvalidAction(Refusal):
    """The action must exist in the service."""

    code = "InvalidAction"
    template = "The requested action `{action}` is invalid or not found in {service} {version}."
    source = _COMMON


class ActionNotEmulated(Refusal):
    """An existing action that localcloud does not emulate is rejected with the name of the page that lists the emulated
    ones.
    """

    code = "UnsupportedOperation"
    template = (
        "localcloud does not emulate {service} {action}; docs/localcloud.md and `localcloud actions` list what it does."
    )
    source = assumed("limit of localcloud; the real cloud has the action")


class NoSuchVersion(Refusal):
    """X-TC-Version must be the version of the service."""

    code = "NoSuchVersion"
    template = "The requested version `{version}` of {service} does not exist: use {known}."
    source = _COMMON


class UnsupportedRegion(Refusal):
    """X-TC-Region must be a region of the cloud."""

    code = "UnsupportedRegion"
    template = "The region `{region}` is not supported by {service}."
    source = _COMMON


class ServiceUnknown(Refusal):
    """The host's first label and the signature's scope must name a service of localcloud."""

    code = "NoSuchProduct"
    template = "The product `{service}` does not exist: use {known}."
    source = documented("common error codes: NoSuchProduct, the product does not exist", page="213/30435")


class UnsupportedProtocol(Refusal):
    """A request must be a POST, or a GET with its parameters in the query."""

    code = "UnsupportedProtocol"
    template = "The HTTP method {method} is not supported: use POST."
    source = _COMMON


class RequestTooLarge(Refusal):
    """A GET can have at most 32 KiB, a POST signed with v1 at most 1 MiB, a POST signed with v3 at most 10 MiB."""

    code = "RequestSizeLimitExceeded"
    template = "The request exceeds {limit} bytes."
    source = documented("request structure: GET 32 KB, POST 1 MB with v1, 10 MB with v3", page="213/30654")


class TooManyRequests(Refusal):
    """An account can call an action at most as often per second as the action's page states, usually 20 times."""

    code = "RequestLimitExceeded"
    template = (
        "Your current request times equals to `{count}` in a second, which exceeds the frequency limit `{limit}` "
        "for a second. Please reduce the frequency of calls."
    )
    source = documented("RequestLimitExceeded; the figures and their pages: localcloud/api/rates.py", page="213/30435")


class InternalError(Refusal):
    """localcloud failed internally; its log has the traceback."""

    code = "InternalError"
    template = "An internal error has occurred in localcloud ({kind}); see its log. Request {action}."
    source = _COMMON
