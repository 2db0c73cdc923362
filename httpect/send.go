// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect

import (
	"crypto/sha256"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/internal/section"
)

// sendHeader sends a response that was kept whole, its token in the header.
func (rw *response) sendHeader(a *core.Answer) {
	fits := len(a.Tokens) == 0
	rw.send(func(h http.Header) {
		if fits {
			return // there is nothing to send
		}
		var tokens []string
		if tokens, fits = fit(a, section.Size(h), DefaultHeaderBytes); fits {
			h[FieldName] = tokens
		}
	})
	if !fits || rw.failed {
		rw.unsent(a)
	}
}

// sendTrailer sends the token behind a response that has gone out.
func (rw *response) sendTrailer(a *core.Answer) {
	h := rw.w.Header()
	strip(h) // what the handler set after the header went out
	if !rw.trailer || rw.failed {
		rw.unsent(a)
		return
	}
	limit := DefaultHeaderBytes
	if rw.x.request.ProtoMajor == 1 {
		limit = DefaultTrailerBytes
	}
	tokens, fits := fit(a, rw.trailerSize(), limit)
	if !fits {
		rw.unsent(a)
		return
	}
	h[FieldName] = tokens
}

// trailerSize returns the bytes of the trailers that the handler sends.
func (rw *response) trailerSize() int {
	own := http.Header{}
	announced := strings.Join(rw.header.get("Trailer"), ",")
	for name, values := range rw.w.Header() {
		bare, prefixed := strings.CutPrefix(name, http.TrailerPrefix)
		if prefixed || strings.Contains(strings.ToLower(announced), strings.ToLower(name)) {
			own[bare] = values
		}
	}
	return section.Size(own)
}

// fit returns the tokens of an answer that a section has room for, context left out
// first (profile 9.2), and whether that is any.
func fit(a *core.Answer, size, limit int) ([]string, bool) {
	n := section.Fit(a.Tokens, FieldName, size, limit)
	return a.Tokens[:n], n > 0
}

// unsent reports a record that somebody should have got and did not.
func (rw *response) unsent(a *core.Answer) {
	if len(a.Tokens) > 0 {
		rw.x.m.service.Unsent(rw.x.request.Context(), a.Issued)
	}
}

// pass sends what was kept as it is, without a token.
func (rw *response) pass() {
	switch {
	case rw.hijacked:
	case rw.streaming:
		strip(rw.w.Header())
	default:
		rw.decide(http.StatusOK)
		rw.send(func(http.Header) {})
	}
}

// send sends status, header and buffer; last sets the last fields. What the handler set
// after it had decided on the header is put back, since some of it may be trailers.
func (rw *response) send(last func(http.Header)) {
	h := rw.w.Header()
	var late http.Header
	if rw.header != nil && !rw.header.is(h) {
		late = maps.Clone(h)
		rw.header.restore(h)
	}
	strip(h)
	addVary(h)
	last(h)
	if rw.status == 0 {
		return // it is for those further out to decide
	}
	if !rw.streaming && rw.isHead() {
		rw.measure(h)
	}
	rw.w.WriteHeader(rw.status)
	if len(rw.buf) > 0 {
		if _, err := rw.w.Write(rw.buf); err != nil {
			rw.failed = true
		}
		rw.buf = nil
	}
	if late != nil {
		strip(late)
		rw.header.revise(h, late)
	}
}

// measure gives a response to HEAD the length of what the handler wrote, as net/http
// would, which sees the beginning of it alone.
func (rw *response) measure(h http.Header) {
	_, declared := h["Content-Length"]
	_, coded := h["Transfer-Encoding"]
	if rw.written > 0 && !declared && (!coded || rw.x.request.ProtoMajor != 1) {
		h.Set("Content-Length", strconv.FormatInt(rw.written, 10))
	}
}

var errBufferUnsent = errors.New("httpect: the response could not be written")

// stream sends the header, with a trailer announced if a token is to follow, and what
// was kept.
func (rw *response) stream() error {
	rw.settle()
	if bad := rw.x.differs(); bad != nil && !rw.silent {
		return bad // nothing is out yet: the response becomes a refusal
	}
	rw.begin()
	if rw.failed {
		return errBufferUnsent
	}
	return nil
}

// settle sees to the request's body before the header goes out, where net/http may drop of
// it what was not read.
func (rw *response) settle() {
	if rw.x.request.ProtoMajor == 1 && !rw.duplex {
		rw.x.settle(rw.closing)
	}
}

// closing tells whether the connection ends with the response.
func (rw *response) closing() bool {
	if rw.header != nil {
		return rw.x.request.Close || rw.header.first("Connection") == "close"
	}
	return rw.x.request.Close || rw.w.Header().Get("Connection") == "close"
}

// begin sends the header and what was kept, come what may.
func (rw *response) begin() {
	x, r := rw.x, rw.x.request
	var task *core.Task
	if !rw.passes { // or one that has begun since was not counted with
		task = x.Task()
	}
	rw.trailer = !rw.silent && !x.turnedAway() && task != nil && task.Answerable() && r.ProtoAtLeast(1, 1)
	rw.streaming = true
	if task != nil {
		rw.hash = sha256.New()
		rw.hash.Write(rw.buf)
	}
	rw.send(func(h http.Header) {
		if rw.trailer && r.ProtoMajor == 1 {
			rw.trailer = rw.chunks(h)
		}
		if rw.trailer {
			h["Trailer"] = append(slices.Clip(h["Trailer"]), FieldName)
		}
	})
}

// chunks tells whether a response over HTTP/1.1 goes out in chunks, as only such have
// trailers, and drops a length that is in the way of it and may be dropped.
func (rw *response) chunks(h http.Header) bool {
	switch {
	case h.Get("Transfer-Encoding") == "identity":
		return false
	case h.Get("Content-Length") == "":
		return true
	case rw.x.m.length == KeepLength:
		return false
	}
	h.Del("Content-Length")
	return true
}
