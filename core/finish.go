// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"context"
	"errors"
	"slices"
)

// Completion says how a task ended.
type Completion struct {
	// Action is used unless SetAction was called; "" keeps what the task began with.
	Action string
	// Outcome says how it ended.
	Outcome Outcome
	// Status is the HTTP or gRPC status, 0 if there is none.
	Status int
	// InpHash is of what came in, OutHash of what goes out. Without InpHash that of
	// [ExtractInput] stands.
	InpHash, OutHash Hash
	// Keep says that the task token goes back to nobody, as no answer will be sent: it
	// is issued with this service as audience, and kept.
	Keep bool
}

// Answer is the outcome of a finished task.
type Answer struct {
	// Issued is the task token.
	Issued *Issued
	// Tokens is what goes back to who asked, the task token first; nil if nothing does.
	Tokens []string
}

// Answerable tells whether the task token will go back to who asked: some head has an
// issuer that the audiences name (profile 9.8).
func (t *Task) Answerable() bool {
	if t.received == nil {
		return false
	}
	return slices.ContainsFunc(t.received.heads, func(h *Verified) bool {
		return t.service.audiences.told(h.claims.issuer) != nil
	})
}

// answerTo returns the issuers of the heads that tokens go to, and what the least of them
// may have: the answer is one message to all.
func (t *Task) answerTo() (ids []string, least Audience) {
	least = Audience{Context: MaxContext, Hashes: true, Trace: everyTraceHeader}
	if t.received == nil {
		return nil, least
	}
	for _, h := range t.received.heads {
		a := t.service.audiences.told(h.claims.issuer)
		if a == nil || slices.Contains(ids, a.ID) {
			continue
		}
		ids = append(ids, a.ID)
		least.Hashes = least.Hashes && a.Hashes
		least.Trace &= a.Trace
		least.Context = min(least.Context, a.Context)
		least.Revision = max(least.Revision, a.Revision)
	}
	return ids, least
}

// Finish ends the task and issues its token: `pred` is the heads, the frontier, branches
// that were not joined, and dispatches still open. It can be called once. A token that would
// be too long if it named all who asked is kept and goes to nobody, which observers are
// told. The error is about the issuer; the task is finished all the same.
func (t *Task) Finish(ctx context.Context, c Completion) (*Answer, error) {
	t.mu.Lock()
	if t.finished {
		t.mu.Unlock()
		return nil, ErrTaskFinished
	}
	t.finished = true
	err := errPanicked
	defer func() { t.ended(err) }()
	var a *Answer
	a, err = t.finish(ctx, c)
	return a, err
}

// errPanicked tells who watches a task that it was not recorded, as something panicked.
var errPanicked = errors.New("ect: issuing the task token panicked")

// finish is Finish, called once and with the lock held, which it gives up.
func (t *Task) finish(ctx context.Context, c Completion) (*Answer, error) {
	for _, b := range t.branches.Values() {
		t.main.absorb(b)
	}
	for _, d := range t.open.Values() {
		t.main.advance(d.link)
	}
	last := stand{links: without(t.main.stand().links, t.heads)} // heads are named in any case
	action, policy, members := t.action, t.policy, t.members
	if !c.InpHash.Present {
		c.InpHash = t.input
	}
	if !t.chosen && isAction(c.Action) {
		action = c.Action
	}
	t.mu.Unlock()

	if err := t.joinSteps(ctx, &last); err != nil {
		return nil, err
	}
	r := IssueRequest{
		TaskID: t.id, Workflow: t.workflow, Action: action,
		InpHash: c.InpHash, OutHash: c.OutHash,
		Ext: Ext{Policy: policy, Outcome: c.Outcome, Status: c.Status}, Members: members,
	}
	preds := t.heads
	if len(last.links) > 0 {
		preds = slices.Concat(t.heads, last.links)
	}
	r.Pred = predecessors(preds)
	to, least := t.answerTo()
	if len(to) > 0 && !c.Keep {
		i, err := t.issue(ctx, KindTask, r.answering(to, least))
		if err == nil {
			return &Answer{Issued: i, Tokens: withContext(i.text, preds, least, t.heads)}, nil
		}
		if !errors.Is(err, errTokenTooLong) {
			return nil, err
		}
	}
	r.Audience = []string{t.service.Identity()}
	i, err := t.issue(ctx, KindTask, r)
	if err != nil {
		return nil, err
	}
	if len(to) > 0 && !c.Keep {
		// Too many asked for one token to name them all: the record is worth more than they.
		t.service.Unsent(ctx, i)
	}
	return &Answer{Issued: i}, nil
}

// answering returns the request of a token that goes back to those who asked.
func (r IssueRequest) answering(to []string, least Audience) IssueRequest {
	r.Audience, r.Revision = to, least.Revision
	if !least.Hashes {
		r.InpHash, r.OutHash = Hash{}, Hash{}
	}
	return r
}
