// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect

import (
	"net/http"
	"time"

	"github.com/go-ect/ect/core"
)

// Mode says what becomes of requests whose tokens are missing or bad (profile 9.5).
type Mode = core.Mode

// The modes of a [Middleware].
const (
	// Enforce refuses requests without a token and with a bad one. It is the default.
	Enforce = core.Enforce
	// Optional lets requests without a token through; a bad one is refused all the same.
	Optional = core.Optional
	// Observe refuses nothing and claims nothing: what would have been refused is
	// reported to observers, and the task is recorded as a root.
	Observe = core.Observe
)

// LengthPolicy says what becomes of a Content-Length that a handler sets itself on a
// response beyond the buffer over HTTP/1.1, where a length leaves no room for a
// trailer (profile 9.8).
type LengthPolicy uint8

const (
	// DropLength drops the length and sends the token as a trailer. It is the default.
	DropLength LengthPolicy = iota
	// KeepLength keeps the length; the token is recorded and not sent.
	KeepLength
)

// Limits of a middleware and a transport unless options say otherwise.
const (
	// DefaultResponseBuffer is how many bytes of a response wait for its token.
	DefaultResponseBuffer = 32 << 10
	// DefaultBodyBuffer is how large a body may be that a policy of [core.BodyRequire] holds
	// whole before the handler runs.
	DefaultBodyBuffer = 1 << 20
	// DefaultDrain is how many bytes of a body are read on after the handler, or on
	// closing, so that its end is seen (profile 9.7).
	DefaultDrain = 256 << 10
	// DefaultHeaderBytes bounds the header section sent, names and values and four a
	// line (profile 9.2).
	DefaultHeaderBytes = 8 << 10
	// DefaultTrailerBytes bounds the trailer section over HTTP/1.1, where Go's client, for
	// one, refuses a longer one.
	DefaultTrailerBytes = 4<<10 - 128
	// HoldBack is how many bytes at the end of a body wait for it to be compared with
	// the record: a body up to that size is read only after it was checked.
	HoldBack = 4 << 10
	// issueTimeout bounds how long a signer may take for a task token, whose request may
	// be cancelled already.
	issueTimeout = 10 * time.Second
	// closeWait bounds how long closing a response body waits for its end.
	closeWait = 250 * time.Millisecond
	// retryAfter is sent with 503, in seconds.
	retryAfter = "1"
)

// Option sets what has a good default, of [Middleware].
type Option interface{ apply(config) config }

type option func(config) config

func (f option) apply(c config) config { return f(c) }

type config struct {
	mode     Mode
	minLevel core.Level
	detail   bool
	onError  func(http.ResponseWriter, *http.Request, *core.Error)
	action   func(*http.Request) string
	buffer   int
	drain    int64
	whole    int64
	length   LengthPolicy
	fallback bool
}

// WithMode sets the mode.
func WithMode(m Mode) Option {
	return option(func(c config) config { c.mode = m; return c })
}

// WithMinLevel raises the minimum level of heads for the routes this middleware is
// mounted on. It never lowers that of the verifier's policy: [Middleware] panics if it
// is asked to.
func WithMinLevel(l core.Level) Option {
	return option(func(c config) config { c.minLevel = l; return c })
}

// WithProblemDetail adds the member `check` to problem documents: the code of the check
// that failed. It tells strangers how far they got, and helps while services are being
// connected. Nothing of a token is in it.
func WithProblemDetail() Option {
	return option(func(c config) config { c.detail = true; return c })
}

// WithErrorHandler replaces the problem document. The handler must write a response;
// it must not show the peer the error's text, which is for logs.
func WithErrorHandler(f func(http.ResponseWriter, *http.Request, *core.Error)) Option {
	return option(func(c config) config { c.onError = f; return c })
}

// WithAction decides the action of tasks that do not set one themselves. It is called
// when the handler has returned, with the request that the handler got. Unless set, the
// action is the method and the route pattern of chi or net/http, such as
// "POST /documents/{id}", and never the path.
func WithAction(f func(*http.Request) string) Option {
	return option(func(c config) config { c.action = f; return c })
}

// WithResponseBuffer sets how many bytes of a response wait for its token; 0 sends every
// token of a response with a body as a trailer.
func WithResponseBuffer(bytes int) Option {
	return option(func(c config) config { c.buffer = bytes; return c })
}

// WithBodyBuffer sets how large a request's body may be under [core.BodyRequire], which
// holds it whole until it was compared; a larger one is refused with 413 (profile 9.7).
func WithBodyBuffer(bytes int64) Option {
	return option(func(c config) config { c.whole = bytes; return c })
}

// WithDrain sets how many bytes of a request's body are read on after the handler.
func WithDrain(bytes int64) Option {
	return option(func(c config) config { c.drain = bytes; return c })
}

// WithLengthPolicy decides between a handler's own Content-Length and a trailer.
func WithLengthPolicy(p LengthPolicy) Option {
	return option(func(c config) config { c.length = p; return c })
}

// WithBodyFallback takes requests by POST, PUT and PATCH that have their tokens in the
// body, as senders do whose header section has no room for them (profile 9.3). The handler
// gets such a request as it would have come without: the body, the fields that describe
// it, and a length of -1 where the sender stated none. Without this option they are refused
// with 415. It counts where the middleware is mounted furthest out.
//
// The tokens are read before the handler runs, so a sender that is slow with its body keeps
// a request waiting there: set ReadTimeout of the http.Server.
func WithBodyFallback() Option {
	return option(func(c config) config { c.fallback = true; return c })
}

// AlteredPolicy says what becomes of a response that something between here and the peer
// seems to have changed (profile 9.7): an answer that had to come is missing, or does not
// fit the body, and
//   - the response bears the mark of a proxy, one of the fields Via, Age, Cache-Status and
//     Proxy-Status; or
//   - the answer was announced as a trailer, and did not come; or
//   - the body differs only by a gzip coding, which the transport takes off itself.
//
// An answer that does not verify, in any way, is never one of these. Whoever can change
// what passes can bear such a mark as well: a report tells an altered response from a
// forged one only where nobody but proxies of one's own is on the path, as with TLS
// between them.
type AlteredPolicy uint8

const (
	// FailAltered makes reading or closing the body fail, as it does for any other answer
	// that is missing or does not fit. It is the default.
	FailAltered AlteredPolicy = iota
	// ReportAltered tells observers and lets the body pass. Where no answer came, the
	// dispatch stays in the graph. See [AlteredOf].
	ReportAltered
)

// TransportOption sets what has a good default, of [NewTransport].
type TransportOption interface {
	applyTransport(transportConfig) transportConfig
}

type transportOption func(transportConfig) transportConfig

func (f transportOption) applyTransport(c transportConfig) transportConfig { return f(c) }

type transportConfig struct {
	altered AlteredPolicy
}

// WithAltered decides what becomes of responses that seem to have been changed on their
// way. Under either policy, observers are told of them by [core.Observer.Altered].
func WithAltered(p AlteredPolicy) TransportOption {
	return transportOption(func(c transportConfig) transportConfig { c.altered = p; return c })
}
