// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect

import (
	"maps"
	"time"

	"github.com/go-ect/ect/core"
)

// Limits of the interceptors.
const (
	// DefaultMetadataBytes bounds what a call's metadata may have with the tokens in it, and
	// an answer's trailing metadata, unless [WithMetadataBytes] says otherwise: names and
	// values and four an entry (profile 9.2).
	DefaultMetadataBytes = 8 << 10
	// issueTimeout bounds how long a signer may take for a task token, whose call may be
	// cancelled already.
	issueTimeout = 10 * time.Second
	// retryDelay is what RetryInfo says.
	retryDelay = time.Second
)

// Option sets what has a good default, of the server's interceptors.
type Option interface{ apply(config) config }

type option func(config) config

func (f option) apply(c config) config { return f(c) }

type config struct {
	mode     core.Mode
	minLevel core.Level
	methods  map[string]core.Level
	detail   bool
	action   func(fullMethod string) string
	codec    *Codec
	metadata int
}

// WithMode sets the mode; [core.Enforce] is the default.
func WithMode(m core.Mode) Option {
	return option(func(c config) config { c.mode = m; return c })
}

// WithMinLevel raises the minimum level of heads for every method. It never lowers that of
// the verifier's policy: the interceptors panic, when they are made, if they are asked to.
func WithMinLevel(l core.Level) Option {
	return option(func(c config) config { c.minLevel = l; return c })
}

// WithMethodMinLevel raises the minimum level of heads for one method, named in full as in
// "/package.Service/Method". It never lowers another. A method that the server does not have
// is not noticed.
func WithMethodMinLevel(fullMethod string, l core.Level) Option {
	return option(func(c config) config {
		m := maps.Clone(c.methods)
		if m == nil {
			m = map[string]core.Level{}
		}
		m[fullMethod] = l
		c.methods = m
		return c
	})
}

// WithErrorDetail adds the metadata entry `check` to the ErrorInfo of a refusal: the code
// of the check that failed. It tells strangers how far they got, and helps while services
// are being connected. Nothing of a token is in it.
func WithErrorDetail() Option {
	return option(func(c config) config { c.detail = true; return c })
}

// WithAction sets how a task is called that did not choose: `exec_act` from the full name
// of the method, as in "/package.Service/Method". Without it, it is that name without the
// leading slash.
func WithAction(f func(fullMethod string) string) Option {
	return option(func(c config) config { c.action = f; return c })
}

// WithCodec sets the hook that [ServerOptions] wires; it has no meaning elsewhere.
func WithCodec(codec *Codec) Option {
	return option(func(c config) config { c.codec = codec; return c })
}

// ClientOption sets what has a good default, of the client's interceptors.
type ClientOption interface {
	applyClient(clientConfig) clientConfig
}

type clientOption func(clientConfig) clientConfig

func (f clientOption) applyClient(c clientConfig) clientConfig { return f(c) }

type clientConfig struct {
	audience string
	metadata int
}

// MetadataOption is an option of the server's interceptors and of the client's.
type MetadataOption struct{ bytes int }

func (o MetadataOption) apply(c config) config { c.metadata = o.bytes; return c }

func (o MetadataOption) applyClient(c clientConfig) clientConfig { c.metadata = o.bytes; return c }

// WithMetadataBytes sets how many bytes the metadata of a call, or the trailing metadata of
// an answer, may have with the tokens in it; [DefaultMetadataBytes] is the default. Beyond
// it context is left out first; then a call fails before it is made, and a record is kept
// and not sent. The interceptors panic, when they are made, if it is negative.
func WithMetadataBytes(bytes int) MetadataOption { return MetadataOption{bytes} }

// WithAudience says who is at the other end, by identity. Without it that is the audience
// one of whose endpoints is the connection's target, as it was given to grpc.NewClient or
// in its canonical form, such as "dns:///billing.example:8443"; a connection whose target is
// nobody's carries no tokens. The audience must say whether an answer is due.
func WithAudience(identity string) ClientOption {
	return clientOption(func(c clientConfig) clientConfig { c.audience = identity; return c })
}
