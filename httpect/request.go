// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect

import (
	"errors"
	"maps"
	"net/http"
	"sync"

	"github.com/go-ect/ect/core"
)

// wrapBody lets the body be hashed as the handler reads it, and compared if it is bound.
func (x *exchange) wrapBody(r *http.Request) {
	want := x.want()
	if x.known.Present {
		if want.Present {
			x.setBodyState(core.BodyBound) // compared before the claim
		}
		return
	}
	if x.task == nil && !want.Present && r.Trailer == nil {
		return
	}
	hold := 0
	if want.Present {
		x.setBodyState(core.BodyPending)
		if x.mode != Observe {
			hold = HoldBack
		}
	}
	trailer := x.wrapTrailer(r)
	x.body = newBody(r.Body, hold, func(sum core.Hash) error {
		trailer()
		switch {
		case !want.Present || !sum.Present:
			return nil
		case sum != want:
			bad := errBodyDiffers()
			x.m.service.BodyDiffered(r.Context(), bad)
			if x.mode == Observe {
				x.setBodyState(core.BodyNotBound)
				return nil
			}
			return bad
		}
		x.setBodyState(core.BodyBound)
		return nil
	})
	x.body.closed, x.body.onClose = trailer, x.m.drain
	x.request.Body = x.body
}

// wrapTrailer gives the handler a trailer section of its own, as tokens in a request's
// trailer are ignored and not passed on. It returns what copies the other fields over
// once they came.
func (x *exchange) wrapTrailer(r *http.Request) func() {
	if r.Trailer == nil {
		return func() {}
	}
	own := maps.Clone(r.Trailer)
	strip(own)
	x.request.Trailer = own
	var mu sync.Mutex // a body may be closed while it is read
	return func() {
		mu.Lock()
		defer mu.Unlock()
		maps.Copy(own, r.Trailer)
		strip(own)
	}
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
	if !x.m.match || x.received == nil {
		return core.Hash{}
	}
	s, ok := x.received.Sender()
	if !ok {
		return core.Hash{}
	}
	return s.Claims().OutHash
}

func (x *exchange) setBodyState(s core.BodyState) {
	if x.task != nil {
		x.task.SetBodyState(s)
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
// header goes out. Of a chunked one it may drop a part and leave the rest to be read: of
// that no hash is taken. A connection that ends with the response is left alone, as is a
// handler under Observe, which loses nothing that net/http would have left it.
func (x *exchange) settle(closing bool) {
	if x.body == nil || closing || x.request.ContentLength-x.body.passedSoFar() >= discarded {
		return
	}
	if x.mode != Observe {
		x.drain(true)
	}
	if x.request.ContentLength < 0 {
		x.body.forgo()
	}
}

// drain reads a body that is bound to a hash on, so that its end is seen. Where the
// connection broke, the state stays pending and the outcome says that it was cancelled.
// A client that waits to be asked for its body, and has been answered instead, will not
// send it.
func (x *exchange) drain(answered bool) {
	if x.body == nil || !x.want().Present || answered && x.request.Header.Get("Expect") != "" && !x.body.begun() {
		return
	}
	x.body.drain(x.m.drain, false)
}
