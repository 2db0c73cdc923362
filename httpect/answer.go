// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/go-ect/ect/core"
)

// answer is the body of a response to a dispatch: it verifies the answer and holds the
// body against it.
type answer struct {
	*body
	t    *Transport
	d    *core.Dispatch
	to   core.Audience
	sent *sending
	resp *http.Response
	ctx  context.Context //nolint:containedctx // the answer belongs to the request, as its response does

	received *core.Received
}

// AnswerOf returns the answer that came with a response of a [Transport], once it was
// verified: at once where it came as a header, at the end of the body where it came as a
// trailer. It must be called by who reads the body.
func AnswerOf(resp *http.Response) (*core.Received, bool) {
	if resp.Request == nil {
		return nil, false
	}
	a, ok := resp.Request.Context().Value(answerKey{}).(*answer)
	if !ok || a.received == nil {
		return nil, false
	}
	return a.received, true
}

// answerKey is where a response's request has the answer, since clients wrap bodies.
type answerKey struct{}

// begin takes the tokens out of the response and looks at an answer in the header.
func (a *answer) begin() {
	values := a.resp.Header[FieldName]
	strip(a.resp.Header)
	_, announced := a.resp.Trailer[FieldName]
	src := a.resp.Body
	hold := 0
	var bad error
	if len(values) > 0 {
		if bad = a.verify(values); bad == nil && a.t.binding != core.BodyIgnore && a.want().Present {
			hold = HoldBack
		}
	} else if !announced && a.to.Answer == core.AnswerRequired && a.resp.StatusCode < http.StatusBadRequest {
		// What says why a call was refused is read first; then comes the error.
		bad = a.unanswered()
	}
	a.body = newBody(src, hold, a.atEnd)
	if bad != nil {
		a.fail(bad)
	}
	a.resp.Body = a
}

// verify looks at the tokens of the response.
func (a *answer) verify(values []string) error {
	p := core.Presented{Values: values}
	if a.resp.TLS != nil {
		p.Evidence.Peer = peerOf(a.resp.TLS)
	}
	r, err := a.d.Verify(a.ctx, p)
	if err != nil {
		return err
	}
	a.received = r
	return a.checkSent()
}

// unanswered is the error of a body whose call had to be answered.
func (a *answer) unanswered() error {
	return core.NewError(core.CodeAnswer, fmt.Errorf("the peer must answer and did not (status %d)", a.resp.StatusCode))
}

// want is the hash that the body must have.
func (a *answer) want() core.Hash { return a.received.Heads()[0].Claims().OutHash }

// checkSent holds what the peer says it got against what was sent.
func (a *answer) checkSent() error {
	got, sent := a.received.Heads()[0].Claims().InpHash, a.sent.content()
	if a.t.binding == core.BodyIgnore || !got.Present || !sent.Present || got == sent {
		return nil
	}
	bad := core.NewError(core.CodeBody, errors.New("the peer's record names another request body than was sent"))
	a.t.service.BodyDiffered(a.ctx, bad)
	return bad
}

// atEnd looks at an answer in the trailer, and holds the body against the answer.
func (a *answer) atEnd(sum core.Hash) error {
	values := a.resp.Trailer[FieldName]
	strip(a.resp.Trailer)
	switch {
	case len(values) > 0 && a.received != nil:
		return core.NewError(core.CodeMalformed, errors.New("an answer in both header and trailer"))
	case len(values) > 0:
		if err := a.verify(values); err != nil {
			return err
		}
	case a.received == nil:
		if a.to.Answer == core.AnswerRequired {
			return a.unanswered()
		}
		return nil
	}
	if err := a.checkSent(); err != nil {
		return err
	}
	if a.t.binding == core.BodyRequire && !a.sent.content().Present {
		return core.NewError(core.CodeBody, errors.New("the request was answered before all of its body was sent"))
	}
	if want := a.want(); a.t.binding != core.BodyIgnore && want.Present && want != sum {
		bad := errBodyDiffers()
		a.t.service.BodyDiffered(a.ctx, bad)
		return bad
	}
	return nil
}

// Close implements io.Closer. It reads on, within bounds of size and time, so that a
// decoder which stopped early still learns of a body that differs or of an answer that
// is missing.
func (a *answer) Close() error {
	timer := time.AfterFunc(closeWait, func() { a.src.Close() }) //nolint:errcheck // closed again below, whose error counts
	a.drain(DefaultDrain, true)
	timer.Stop()
	err := a.src.Close()
	if bad, ok := errors.AsType[*core.Error](a.failure()); ok {
		return bad
	}
	if a.to.Answer == core.AnswerRequired && !a.content().Present {
		return a.early(err)
	}
	return err
}

// early says what closing a body before its end means where an answer is required: an
// answer in the header stands, one in the trailer was not seen.
func (a *answer) early(err error) error {
	a.reading.Lock()
	defer a.reading.Unlock()
	if a.received != nil {
		return err
	}
	return core.NewError(core.CodeAnswer, errors.New("the body was closed before the peer's answer came"))
}

var _ io.ReadCloser = (*answer)(nil)
