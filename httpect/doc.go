// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

// Package httpect carries Execution Context Tokens over HTTP: a middleware for net/http
// and chi that verifies what comes in and records what was done, and a transport that
// records calls and verifies their answers.
//
// # Serving
//
// [Middleware] verifies every value of the Execution-Context field before the handler
// runs, starts a [core.Task] and puts it into the request's context, and answers with
// the task's own token: as a header while the response fits a buffer, as a trailer
// beyond it or once the handler flushes. Bodies are hashed as they pass and never held
// whole.
//
// A request that is refused gets a problem document (RFC 9457) that says its class and
// no more; hooks get the cause. A task that fails is recorded as failed. A task whose
// record cannot be made is answered 500, or cut short if the answer has begun: fails
// closed.
//
// The ResponseWriter that handlers get can do what the one below can: flush, take the
// connection over, push, set deadlines, read while it writes, by asking for the interface
// or through http.ResponseController. What the one below cannot do is
// http.ErrNotSupported. It cannot be unwrapped, and a file is read to be hashed rather than
// sent by the kernel, but where nothing is recorded.
//
// Mount it in a group, so that probes and CORS preflights stay free of it, and outside
// any middleware that changes bodies, such as compression: hashes are of the bytes on
// the wire (profile 9.6).
//
// Tokens for which a sender's header section has no room come in the body of a POST, PUT
// or PATCH, where [WithBodyFallback] takes them; the handler sees nothing of that.
//
// # Calling
//
// [Transport] issues a dispatch for each call to a peer that the service's audiences
// name, and strips the field from every other call. An answer that is missing where one
// is required, does not verify, or does not fit the body is an error of reading or
// closing the body, never of the call: the call happened, and must not be repeated by
// something that retries errors. What a proxy seems to have changed is told from what is
// forged, as far as that can be, and may be let through; see [WithAltered].
//
// A call that a peer refuses as replayed, because something below sent it twice, is
// dispatched once more where the method is idempotent and the body can be got again.
//
// # Tracing
//
// Headers of distributed tracing, those of W3C Trace Context, W3C Baggage and their like, tell
// a peer which calls belong together. [Transport] lets them go where an audience says so
// ([core.Audience].Trace), and takes them out of every other request. OpenTelemetry's own
// transport and handler go further out:
//
//	client := &http.Client{Transport: otelhttp.NewTransport(transport)}
//	handler := otelhttp.NewHandler(router, "") // the router has the middleware
//
// [NewTraceGuard] is for another order, and for clients without tokens. On a listener at the
// edge of a trust domain, [DropTrace] goes furthest out of all and takes out of requests what
// came with them. Responses are not changed.
package httpect

// FieldName is the field that carries tokens (profile 9.1).
const FieldName = "Execution-Context"

// receiptFieldName carries receipts (profile 8.3), which this version ignores; like
// tokens they are not passed on.
const receiptFieldName = "Execution-Context-Receipt"
