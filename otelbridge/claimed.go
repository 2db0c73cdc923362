// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge

import (
	"go.opentelemetry.io/otel/trace"

	"github.com/go-ect/ect/core"
)

// claimed has the newest spans that stand for one token, or for one unit of work, already. It
// is safe for concurrent use.
type claimed struct{ ring[trace.SpanID, standing] }

// standing is what a span stands for.
type standing struct {
	// token is that of a dispatch or a step, the zero value where it is a unit of work, whose
	// token comes at its end.
	token tokenName
	// call tells that the span stands for a dispatch, and carried no other.
	call bool
}

// maxClaimed is how many spans are known to stand for something. One that was forgotten would
// be taken for free, so it is as many as are under way at once, many times over.
const maxClaimed = 1 << 16

// claimedSpans is of all bridges of the process: several services may work in one span.
var claimedSpans = claimed{newRing[trace.SpanID, standing](maxClaimed)}

// unit tells whether the span stood for nothing, and makes it stand for a unit of work.
func (c *claimed) unit(span trace.SpanContext) bool {
	return c.put(span.SpanID(), func(_ *standing, fresh bool) bool { return fresh })
}

// token tells whether the span stands for a token, as it does from now on if it stood for
// nothing.
func (c *claimed) token(span trace.SpanContext, i *core.Issued) bool {
	name := nameOfIssued(i)
	return c.put(span.SpanID(), func(s *standing, fresh bool) bool {
		switch {
		case fresh:
			*s = standing{token: name, call: i.Kind() == core.KindDispatch}
		case s.token != name:
			s.call = false
			return false
		}
		return true
	})
}

// has tells whether the span stands for something.
func (c *claimed) has(span trace.SpanContext) bool {
	_, ok := c.get(span.SpanID())
	return ok
}

// isCall tells whether the span is that of one call, as far as can be seen.
func (c *claimed) isCall(span trace.SpanContext) bool {
	s, _ := c.get(span.SpanID())
	return s.call
}
