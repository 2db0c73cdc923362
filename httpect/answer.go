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
	"github.com/go-ect/ect/internal/tlspeer"
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
	// decode tells that a gzip coding is to be taken off; coded is what came under it.
	decode bool
	coded  *body
	// marked tells that a proxy left its mark, announced that a trailer was to come.
	marked, announced bool

	received *core.Received
	altered  *core.Error
}

// AnswerOf returns the answer that came with a response of a [Transport], once it was
// verified: at once where it came as a header, at the end of the body where it came as a
// trailer. It says what the peer did, and not that the body is the one it sent: that is
// said by reading to the end without an error, and under [ReportAltered] by [AlteredOf]
// as well. It must be called by who reads the body.
func AnswerOf(resp *http.Response) (*core.Received, bool) {
	a, ok := answerOf(resp)
	if !ok || a.received == nil {
		return nil, false
	}
	return a.received, true
}

// AlteredOf returns why a response of a [Transport] counts as changed on its way, with
// the code [core.CodeAltered], once that is known: at the latest at the end of the body.
// Under [ReportAltered] nothing else tells the caller. It must be called by who reads the
// body.
func AlteredOf(resp *http.Response) (*core.Error, bool) {
	a, ok := answerOf(resp)
	if !ok || a.altered == nil {
		return nil, false
	}
	return a.altered, true
}

func answerOf(resp *http.Response) (*answer, bool) {
	if resp.Request == nil {
		return nil, false
	}
	a, ok := resp.Request.Context().Value(answerKey{}).(*answer)
	return a, ok
}

// answerKey is where a response's request has the answer, since clients wrap bodies.
type answerKey struct{}

// begin takes the tokens out of the response, looks at an answer in the header, and
// returns the response as the caller of req gets it.
func (a *answer) begin(req *http.Request) *http.Response {
	resp := a.resp
	resp.Request = req // as the caller made it, without the tokens
	values := resp.Header[FieldName]
	a.marked, a.announced = marked(resp.Header), announces(resp)
	strip(resp.Header)
	if resp.StatusCode == http.StatusSwitchingProtocols {
		// The connection is the caller's now; there is no body to hold against anything.
		return resp
	}
	strip(resp.Trailer)
	resp.Request = req.WithContext(context.WithValue(a.ctx, answerKey{}, a))
	hold := 0
	var bad error
	if len(values) > 0 {
		if bad = a.verify(values); bad == nil && a.t.binding != core.BodyIgnore && a.want().Present {
			hold = HoldBack
		}
	} else if !a.announced && a.to.Answer == core.AnswerRequired && resp.StatusCode < http.StatusBadRequest {
		// What says why a call was refused is read first; then comes the error.
		bad = a.unanswered()
	}
	src := resp.Body
	if a.decode && uncompress(resp) {
		a.coded = newBody(src, 0, nil)
		src = &gunzip{coded: a.coded, broken: a.atBreak}
	}
	a.body = newBody(src, hold, (*responseBody)(a))
	if bad != nil {
		a.fail(bad)
	}
	if bad != nil || a.received == nil && a.to.Answer == core.AnswerRequired {
		// What nobody answered for leads nowhere: http.Client would follow it, and send the
		// body on, before anybody has read the error.
		resp.Header.Del("Location")
	}
	resp.Body = a
	return resp
}

// verify looks at the tokens of the response.
func (a *answer) verify(values []string) error {
	p := core.Presented{Values: values, Transport: core.TransportHTTP}
	if a.resp.TLS != nil {
		p.Evidence.Peer = tlspeer.Identity(a.resp.TLS)
	}
	r, err := a.d.Verify(a.ctx, p)
	if err != nil {
		return err
	}
	a.received = r
	return a.checkSent()
}

// unanswered judges a response whose call had to be answered.
func (a *answer) unanswered() error {
	why := fmt.Errorf("the peer must answer and did not (status %d)", a.resp.StatusCode)
	return a.judge(core.NewError(core.CodeAnswer, why), a.marked || a.announced)
}

// want is the hash that the body must have.
func (a *answer) want() core.Hash { return a.received.Heads()[0].OutHash() }

// checkSent holds what the peer says it got against what was sent.
func (a *answer) checkSent() error {
	got, sent := a.received.Heads()[0].InpHash(), a.sent.content()
	if a.t.binding == core.BodyIgnore || !got.Present || !sent.Present || got == sent {
		return nil
	}
	return a.judge(core.NewError(core.CodeBody, errors.New("the peer's record names another request body than was sent")), a.marked)
}

// responseBody is an answer as the judge of its response's body.
type responseBody answer

func (b *responseBody) atEnd(all *contentHash) error { return (*answer)(b).conclude(all) }

func (b *responseBody) atBreak(err error) error { return err }

func (b *responseBody) atClose() {}

// conclude looks at an answer in the trailer, and holds the body against the answer.
func (a *answer) conclude(all *contentHash) error {
	values := a.resp.Trailer[FieldName]
	strip(a.resp.Trailer)
	switch {
	case len(values) > 0 && a.received != nil:
		return a.judge(core.NewError(core.CodeMalformed, errors.New("an answer in both header and trailer")), false)
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
		return a.judge(core.NewError(core.CodeBody, errors.New("the request was answered before all of its body was sent")), false)
	}
	if a.coded != nil {
		return a.compare(a.coded.content(), all.sum())
	}
	return a.compare(all.sum(), core.Hash{})
}

// atBreak judges a body whose coding broke, if all of it came.
func (a *answer) atBreak() error {
	if !a.coded.content().Present {
		return nil
	}
	return a.conclude(nil)
}

// compare holds what came against the answer: as it was on the wire, and without its
// coding, where that is known.
func (a *answer) compare(wire, decoded core.Hash) error {
	if a.t.binding == core.BodyIgnore {
		return nil
	}
	if want := a.want(); want.Present && want != wire {
		return a.judge(errBodyDiffers(), a.marked || want == decoded)
	}
	return nil
}

// answerInfo says of which message observers are told.
var answerInfo = core.VerifyInfo{Transport: core.TransportHTTP, Answer: true}

// judge says what becomes of an answer that is missing or does not fit, and tells
// observers, once of what was altered.
func (a *answer) judge(bad *core.Error, altered bool) error {
	if !altered {
		if bad.Code == core.CodeBody {
			a.t.service.BodyDiffered(a.ctx, bad, answerInfo)
		} else {
			a.t.service.Rejected(a.ctx, bad, answerInfo)
		}
		return bad
	}
	if a.altered == nil {
		a.altered = core.NewError(core.CodeAltered, bad.Unwrap())
		a.t.service.Altered(a.ctx, a.altered, answerInfo)
	}
	if a.t.altered == ReportAltered {
		return nil
	}
	return a.altered
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
// answer in the header stands, one in the trailer was not seen. What was reported before
// is no error.
func (a *answer) early(err error) error {
	a.reading.Lock()
	defer a.reading.Unlock()
	if a.received != nil || a.altered != nil {
		return err
	}
	return core.NewError(core.CodeAnswer, errors.New("the body was closed before the peer's answer came"))
}

var _ io.ReadCloser = (*answer)(nil)
