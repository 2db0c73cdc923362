// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect

import (
	"context"
	"crypto/sha256"
	"hash"
	"maps"
	"net/http"
	"time"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/internal/limited"
)

// response stands between the handler and the connection: it hashes what is written,
// and keeps the beginning of it until the token is known or must become a trailer.
// It has no Unwrap, which would let writes go round the hash.
type response struct {
	w http.ResponseWriter
	x *exchange
	// before is the header as those further out had left it; nil if nothing was in it.
	before http.Header
	// hash is of what is streamed; a response that is kept whole is hashed at its end, and
	// one that nobody records is not.
	hash hash.Hash
	buf  []byte
	// limit is how much is kept before it is sent.
	limit int
	// status is 0 until the handler decided it, and header has the fields as they were
	// then, which is what net/http would send.
	status int
	header *snapshot
	// length is the Content-Length that the handler declared, -1 if it declared none, and
	// written is how much it wrote.
	length, written int64
	// passes tells that nothing is kept or counted on the way: the writer below holds the
	// handler to its length.
	passes bool
	// streaming tells that the header is out.
	streaming bool
	// trailer tells that a token was announced as a trailer, silent that none is to be.
	trailer, silent bool
	hijacked        bool
	// duplex tells that the handler reads and writes at once over HTTP/1.
	duplex bool
	// failed tells that the peer cannot have got all that was written.
	failed bool
}

// record runs the handler and ends the task, however the handler ends.
func (x *exchange) record(w http.ResponseWriter, next http.Handler) {
	rw := &x.response
	rw.w, rw.x, rw.limit = w, x, x.m.buffer
	if h := w.Header(); len(h) > 0 {
		rw.before = maps.Clone(h)
	}
	panicked := true
	defer func() {
		if panicked {
			rw.abandon(recover())
		}
	}()
	next.ServeHTTP(rw, x.request)
	action := ""
	if x.End() != nil {
		action = x.actionOf()
	}
	panicked = false

	if x.releaseIfRefused() {
		rw.pass()
		return
	}
	switch {
	case rw.streaming && !rw.waits():
		rw.pass() // nobody records, and nothing is held against anything
		return
	case !rw.hijacked: // or what is read would be the hijacker's
		x.drain(rw.streaming)
	}
	rw.end(action)
}

// abandon ends the task of a handler that panicked. The panic goes on; what the handler
// wrote and was kept back is dropped.
func (rw *response) abandon(panicked any) {
	rw.x.End()
	outcome := core.OutcomeError
	//nolint:errorlint // as net/http compares
	if panicked == http.ErrAbortHandler && rw.gone() { // as proxies do whose client left
		outcome = core.OutcomeCancelled
	}
	rw.x.finish(core.Completion{Action: rw.x.route(), Outcome: outcome, Keep: true}) //nolint:errcheck // observers were told, and the connection ends anyway
	strip(rw.w.Header())                                                             // who answers instead finds no token of others
	if panicked != nil {                                                             // or the goroutine ends
		panic(panicked) //nolint:forbidigo // it is the handler's
	}
}

// gone tells whether the response cannot arrive: the peer left, a time limit passed, or a
// write failed.
func (rw *response) gone() bool { return rw.failed || rw.x.request.Context().Err() != nil }

// end completes the response of a handler that returned.
func (rw *response) end(action string) {
	x, begun := rw.x, rw.streaming
	differs := x.differs()
	switch {
	case rw.hijacked && rw.status == 0:
		rw.status = http.StatusSwitchingProtocols
	case rw.gone() && differs == nil:
		// Whoever set the time limit further out has the last word on a response that the
		// handler has not begun.
	default:
		rw.decide(http.StatusOK)
	}
	if differs != nil && !rw.streaming && !rw.hijacked {
		rw.silent = true
		rw.replace(differs)
	}
	// A message that is refused after all is recorded, and gets no answer.
	c := core.Completion{
		Action: action, Outcome: rw.outcome(differs != nil), Status: rw.status,
		Keep: differs != nil || rw.hijacked || rw.streaming && rw.short() || x.turnedAway(),
	}
	if x.Task() != nil {
		c.OutHash = rw.content()
	}
	answer, err := x.finish(c)
	switch {
	case rw.hijacked:
	case rw.streaming && (err != nil || rw.short()) || begun && differs != nil:
		// The header is out: the one way left to say that something is wrong.
		panic(http.ErrAbortHandler) //nolint:forbidigo // net/http's own way to abort a response
	case err != nil:
		rw.silent = true
		rw.replace(core.NewError(core.CodeUnrecorded, err))
		rw.pass()
	case rw.streaming:
		rw.sendTrailer(answer)
	default:
		rw.sendHeader(answer)
	}
}

func (rw *response) outcome(differs bool) core.Outcome {
	switch {
	case rw.gone():
		return core.OutcomeCancelled
	case rw.status >= http.StatusInternalServerError || differs || rw.short():
		return core.OutcomeError
	}
	return core.OutcomeOK
}

// short tells whether the handler wrote less than it declared. Nobody may take that for
// the whole, also where the length was dropped for a trailer.
func (rw *response) short() bool {
	return rw.written < rw.length && bodyAllowed(rw.status) && !rw.isHead() && !rw.hijacked
}

// content returns the hash of what the handler wrote, absent if the peer cannot have got
// all of it, or of a stream may not have.
func (rw *response) content() core.Hash {
	switch {
	case rw.hijacked || rw.failed || rw.short() || rw.status == 0 || rw.streaming && rw.gone():
		return core.Hash{}
	case rw.hash != nil:
		return core.Hash{Sum: [32]byte(rw.hash.Sum(nil)), Present: true}
	case rw.isHead() || !bodyAllowed(rw.status) || rw.written == 0 && !rw.streaming:
		return emptyHash
	case rw.streaming:
		return core.Hash{} // the task began when some of it may have gone by
	}
	return core.Hash{Sum: sha256.Sum256(rw.buf), Present: true}
}

// finish issues the task token, if the service records. The request's context may be
// done; the record is not.
func (x *exchange) finish(c core.Completion) (*core.Answer, error) {
	task := x.Task()
	if task == nil {
		return &core.Answer{}, nil
	}
	ctx := limited.Until(context.WithoutCancel(x.request.Context()), time.Now().Add(issueTimeout))
	defer ctx.Stop()
	c.InpHash = emptyHash
	if x.body != nil {
		c.InpHash = x.body.content()
	}
	a, err := task.Finish(ctx, c)
	if err != nil {
		x.m.service.Unrecorded(ctx, core.NewError(core.CodeUnrecorded, err), x.info())
	}
	return a, err
}

// replace drops what the handler answered for a problem document.
func (rw *response) replace(err *core.Error) {
	h := rw.w.Header()
	clear(h)
	maps.Copy(h, rw.before)
	rw.buf, rw.status, rw.written = nil, 0, 0
	rw.limit = max(rw.limit, DefaultResponseBuffer)
	rw.x.m.writeProblem(rw, rw.x.request, err)
}
