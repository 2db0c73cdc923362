// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"context"
	"sync/atomic"
)

// dispatchAction is the `exec_act` of a dispatch unless told otherwise.
const dispatchAction = "dispatch"

// DispatchInput says what a dispatch records.
type DispatchInput struct {
	// Action is `exec_act`; "" means "dispatch".
	Action string
	// OutHash is of what is sent, absent where that cannot be known yet. It is left out
	// for an audience that gets no hashes.
	OutHash Hash
}

// Dispatch is the token that goes with one outgoing call, and what comes of it. It is
// safe for concurrent use.
type Dispatch struct {
	task     *Task
	frontier *frontier
	audience Audience
	issued   *Issued
	link     *link
	tokens   []string
	// ctx is what it was issued on; sent tells that observers know what it went with.
	ctx  context.Context //nolint:containedctx // for observers, where no adapter knows a better one
	sent atomic.Bool
}

// Dispatch issues the token of an outgoing call to a peer. The call begins after the
// frontier of ctx as it stands now, so that calls made side by side become branches.
// Call [Dispatch.Done] once the call has happened or may have happened.
func (t *Task) Dispatch(ctx context.Context, to Audience, in DispatchInput) (*Dispatch, error) {
	if _, ok := t.service.audiences.ByID(to.ID); !ok {
		return nil, ErrNoAudience
	}
	f := t.at(ctx)
	preds, err := t.newest(ctx, f)
	if err != nil {
		return nil, err
	}
	r := IssueRequest{
		Audience: []string{to.ID}, Action: in.Action, OutHash: in.OutHash, Revision: to.Revision,
	}
	if r.Action == "" {
		r.Action = dispatchAction
	}
	if !to.Hashes {
		r.OutHash = Hash{}
	}
	i, l, err := t.issueAfter(ctx, KindDispatch, preds, r)
	if err != nil {
		return nil, err
	}
	d := &Dispatch{
		task: t, frontier: f, audience: to, issued: i, link: l,
		tokens: withContext(i.text, preds, to, nil), ctx: ctx,
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.usable(f); err != nil {
		return nil, err
	}
	t.open.Add(d, d)
	return d, nil
}

// Issued returns the dispatch token.
func (d *Dispatch) Issued() *Issued { return d.issued }

// Tokens returns what goes with the call: the dispatch first, then the context that
// the audience may have, nearest first. Context may be left out from the end.
func (d *Dispatch) Tokens() []string { return append([]string(nil), d.tokens...) }

// Sent tells observers that the dispatch goes with a call made on ctx. It is for adapters,
// which call it for each attempt of the call, before [Dispatch.Done].
func (d *Dispatch) Sent(ctx context.Context) {
	d.sent.Store(true)
	if o := d.task.observer; o != nil {
		o.Sent(ctx, d.issued)
	}
}

// Done puts the dispatch into the frontier and takes what it names out: a call that
// may have happened is never without a trace. It may be called again.
func (d *Dispatch) Done() {
	d.went()
	d.task.mu.Lock()
	defer d.task.mu.Unlock()
	d.done()
}

// went tells observers that the dispatch went with a call, unless an adapter did.
func (d *Dispatch) went() {
	if !d.sent.Swap(true) {
		d.Sent(d.ctx)
	}
}

// Abandon says that the call did not happen and will not: nothing comes after it.
func (d *Dispatch) Abandon() {
	d.task.mu.Lock()
	defer d.task.mu.Unlock()
	d.task.open.Remove(d)
}

func (d *Dispatch) done() {
	if d.task.open.Remove(d) && !d.task.finished {
		d.frontier.standing().advance(d.link)
	}
}

// Verify verifies the answer to the dispatch. It must come from the identity that was
// called and name the dispatch; then it takes the dispatch's place in the frontier.
// The error is an [*Error].
func (d *Dispatch) Verify(ctx context.Context, p Presented) (*Received, error) {
	d.went() // or nobody could answer it
	// A call may have taken longer than the task store keeps what is quiet.
	if err := d.task.service.keep(ctx, d.issued); err != nil {
		return nil, err
	}
	p.answers = &expectation{peer: d.audience.ID, dispatch: d.issued.digest, taken: d.task.taken}
	r, err := d.task.service.verifier.Verify(ctx, p)
	if err != nil {
		return nil, err
	}
	if err := d.answered(r); err != nil {
		return nil, err
	}
	if o := d.task.observer; o != nil {
		o.Answered(ctx, d.issued, r)
	}
	return r, nil
}

// answered puts an answer in the place of the dispatch, unless the task is over.
func (d *Dispatch) answered(r *Received) error {
	d.task.mu.Lock()
	defer d.task.mu.Unlock()
	d.done()
	if !d.task.finished {
		answer := &r.heads[0].link
		if !d.task.take(answer.task, answer.digest) {
			return refuse(CodeAnswer, "the answer bears the task id of another token of the task")
		}
		answer = answer.after(append([]*link{d.link}, answer.preds...))
		f := d.frontier.standing()
		f.pass(d.issued.digest)
		f.add(answer.trim(max(d.task.service.audiences.context, 1)))
	}
	return nil
}
