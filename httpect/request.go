// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect

import (
	"context"
	"errors"
	"maps"
	"net/http"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/internal/related"
)

// takeBody makes the body one that is hashed as it is read, and compared if it is bound.
func (x *exchange) takeBody(r *http.Request) {
	x.outer = r
	x.takeTrailer(r)
	x.body = &x.incoming
	x.body.src, x.body.by, x.body.onClose = r.Body, (*requestBody)(x), x.m.drain
}

// requestBody is an exchange as the judge of its request's body.
type requestBody exchange

func (b *requestBody) atEnd(all *contentHash) error {
	x := (*exchange)(b)
	b.atClose()
	want := x.want()
	switch {
	case !want.Present || all == nil:
		return nil
	case all.sum() != want:
		bad := errBodyDiffers()
		x.m.service.BodyDiffered(x.request.Context(), bad, x.info())
		if x.mode == Observe {
			x.setBodyState(core.BodyNotBound)
			return nil
		}
		return bad
	}
	x.setBodyState(core.BodyBound)
	return nil
}

func (b *requestBody) atBreak(err error) error {
	x := (*exchange)(b)
	return x.spoiled(x.outer, err)
}

// atClose copies what trailers came by now over to those that the handler sees.
func (b *requestBody) atClose() {
	if b.trailer == nil {
		return
	}
	b.trailing.Lock() // a body may be closed while it is read
	defer b.trailing.Unlock()
	maps.Copy(b.trailer, b.outer.Trailer)
	strip(b.trailer)
}

// readBody reads all of the body, for a policy that requires it to be compared before the
// token is claimed.
func (x *exchange) readBody(context.Context) (core.Hash, error) {
	if x.outer.ContentLength > x.m.whole {
		return core.Hash{}, errBodyTooLarge
	}
	sum, err := x.body.whole(x.m.whole)
	if errors.Is(err, related.ErrMalformed) {
		return core.Hash{}, formError(err)
	}
	return sum, err
}

// bindBody gives the handler the body, and says what is known of it.
func (x *exchange) bindBody(r *http.Request) {
	want := x.want()
	if x.known.Present {
		if want.Present {
			x.setBodyState(core.BodyBound) // compared before the claim
		}
		if r.Trailer != nil { // of a form that was read to its end
			x.takeTrailer(r)
			x.request.Trailer = x.trailer
		}
		return
	}
	if x.body == nil {
		if !x.m.service.Records() && !want.Present && r.Trailer == nil && !x.inBody {
			return
		}
		x.takeBody(r)
	}
	switch {
	case !want.Present:
	case x.body.content().Present:
		x.setBodyState(core.BodyBound) // compared before the claim
	default:
		x.setBodyState(core.BodyPending)
		if x.mode != Observe {
			x.body.holdBack(HoldBack)
		}
	}
	x.request.Body = x.body
	if x.trailer != nil {
		x.request.Trailer = x.trailer
	}
}

// takeTrailer makes a trailer section of the handler's own, as tokens in a request's
// trailer are ignored and not passed on.
func (x *exchange) takeTrailer(r *http.Request) {
	if r.Trailer == nil {
		return
	}
	x.trailer = maps.Clone(r.Trailer)
	strip(x.trailer)
}

// differs says why the body is not the one recorded, once that is known.
func (x *exchange) differs() *core.Error {
	if x.body == nil {
		return nil
	}
	if bad, ok := errors.AsType[*core.Error](x.body.failure()); ok {
		return bad
	}
	return nil
}

// want is the hash that the body must have, absent if it is not bound to one.
func (x *exchange) want() core.Hash {
	if x.m.binding == core.BodyIgnore || x.Received() == nil {
		return core.Hash{}
	}
	s, ok := x.Received().Sender()
	if !ok {
		return core.Hash{}
	}
	return s.OutHash()
}

func (x *exchange) setBodyState(s core.BodyState) {
	if task := x.Task(); task != nil {
		task.SetBodyState(s)
	}
}

// contentOf returns the hash of a body that is known to be empty; absent otherwise. One
// of no length may still have trailers, which come with its end.
func contentOf(r *http.Request) core.Hash {
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 && r.Trailer == nil {
		return emptyHash
	}
	return core.Hash{}
}

// discarded is how much of a request body net/http reads and drops over HTTP/1 when a
// response begins before it was read.
const discarded = 256 << 10

// settle sees to the end of a bound body that net/http would drop unseen as soon as the
// header goes out. It may drop a part and leave the rest to be read, or drop it while
// somebody reads: so no hash is taken of what did not end by then. A connection that ends
// with the response is left alone, and under Observe nothing is read that the handler would
// then miss.
func (x *exchange) settle(closing func() bool) {
	if x.body == nil || x.body.ended() || closing() || x.unread() >= discarded {
		return
	}
	if x.mode != Observe {
		x.drain(true)
	}
	if !x.expects { // or net/http drops nothing
		x.body.forgo()
	}
}

// drain reads a body that is bound to a hash on, so that its end is seen. Where the
// connection broke, the state stays pending and the outcome says that it was cancelled.
// A client that waits to be asked for its body, and has been answered instead, will not
// send it.
func (x *exchange) drain(answered bool) {
	if x.body == nil || !x.want().Present && !x.inBody || answered && x.expects && !x.body.begun() {
		return
	}
	x.body.drain(x.m.drain, false)
}
