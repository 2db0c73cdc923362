// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"context"
	"time"
)

// Observer is told what happens, in the manner of net/http/httptrace: traces, metrics
// and audit logs attach here. Every function is optional. They are called while a
// request waits, perhaps several at once, and must not keep what they are given
// beyond what its own documentation allows.
type Observer struct {
	// Verified is called once a message was accepted.
	Verified func(ctx context.Context, r *Received, info VerifyInfo)
	// Rejected is called once a message was refused, or would have been in a mode that
	// only observes. Nothing of the message is in the error but its code and cause. A body
	// that differs once the message was accepted goes to BodyDiffered instead.
	Rejected func(ctx context.Context, err *Error, info VerifyInfo)
	// Entered is called before each unit of work begins: for a message that was accepted, and
	// for a root, where r is nil. The work runs in the context that it returns, which is ctx
	// or derived from it. What it returns beside, which may be nil, is told of this unit alone.
	Entered func(ctx context.Context, r *Received) (context.Context, TaskObserver)
	// Issued is called for every token this service issued, sent or not.
	Issued func(ctx context.Context, i *Issued)
	// Evidence is called when one issuer gave one task id to two tokens. It is the one
	// place where a refused token is shown: its signature was verified.
	Evidence func(ctx context.Context, e Equivocation)
	// BodyDiffered is called when a body turned out not to be the one that its sender's
	// record names, perhaps long after the message was accepted.
	BodyDiffered func(ctx context.Context, err *Error, info VerifyInfo)
	// Altered is called when an answer is missing or does not fit its body, and what came
	// shows that something on the way changed it; whether the call fails is for the
	// adapter's policy to say. It is called in place of BodyDiffered.
	Altered func(ctx context.Context, err *Error, info VerifyInfo)
	// Unsent is called when a task token that somebody asked for could not be sent: no
	// room in the header, or no place for a trailer.
	Unsent func(ctx context.Context, i *Issued)
	// Unrecorded is called when a task was done and its token could not be issued.
	Unrecorded func(ctx context.Context, err *Error, info VerifyInfo)
	// Leaked is called when a call took headers of tracing to a peer that does not get them,
	// as something further in than this library's guard had set them: the wiring is wrong. It
	// is told the endpoint and the names of the headers, never their values.
	Leaked func(ctx context.Context, endpoint string, headers []string)
}

// TaskObserver is told of one unit of work, see [Observer.Entered]. Its methods are called
// while the work waits, perhaps several at once.
type TaskObserver interface {
	// Issued is called for every token that is issued in the work, the task token last; ctx is
	// that of the code which asked for it.
	Issued(ctx context.Context, i *Issued)
	// Sent is called when a dispatch goes with a call, once for each attempt, on the context
	// that the call is made in: a span of the call itself is in it where the adapter runs
	// inside of what began it.
	Sent(ctx context.Context, dispatch *Issued)
	// Answered is called once the answer to a dispatch was accepted.
	Answered(ctx context.Context, dispatch *Issued, answer *Received)
	// Ended is called once, when the unit is over. The error says why it could not be
	// recorded, nil if it was, or if there was nothing to record.
	Ended(err error)
}

// taskObservers is several as one.
type taskObservers []TaskObserver

// Issued implements TaskObserver.
func (ts taskObservers) Issued(ctx context.Context, i *Issued) {
	for _, t := range ts {
		t.Issued(ctx, i)
	}
}

// Sent implements TaskObserver.
func (ts taskObservers) Sent(ctx context.Context, dispatch *Issued) {
	for _, t := range ts {
		t.Sent(ctx, dispatch)
	}
}

// Answered implements TaskObserver.
func (ts taskObservers) Answered(ctx context.Context, dispatch *Issued, answer *Received) {
	for _, t := range ts {
		t.Answered(ctx, dispatch, answer)
	}
}

// Ended implements TaskObserver. What entered last ends first, and each is told, also where
// another panics.
func (ts taskObservers) Ended(err error) {
	for _, t := range ts {
		defer t.Ended(err)
	}
}

// Transport is what a message came by.
type Transport uint8

// The transports. The zero value is one that the library has no adapter for, such as a queue.
const (
	TransportOther Transport = iota
	TransportHTTP
	TransportGRPC
)

// String returns "other", "http" or "grpc".
func (t Transport) String() string {
	switch t {
	case TransportHTTP:
		return "http"
	case TransportGRPC:
		return "grpc"
	}
	return "other"
}

// VerifyInfo says of which message an observer is told.
type VerifyInfo struct {
	// Transport is what the message came by.
	Transport Transport
	// Answer tells that it is the answer to a dispatch of this service, and not a request.
	Answer bool
	// Observed tells that the mode only observes: nothing was refused or claimed.
	Observed bool

	begun time.Time
	now   func() time.Time
}

// Duration returns how long verification took so far, 0 where an adapter refused the message
// by itself.
func (i VerifyInfo) Duration() time.Duration {
	if !i.Judged() {
		return 0
	}
	return i.now().Sub(i.begun)
}

// Judged tells whether this is what a verifier says of the message. It is not where an adapter
// refused the message by itself, before a verifier saw it or after.
func (i VerifyInfo) Judged() bool { return i.now != nil }

// Equivocation shows two signed tokens of one issuer and task id (profile 5.1). Both
// signatures were verified.
type Equivocation struct {
	Issuer string
	TaskID UUID
	// First is the token that was retained; "" if this process only remembers that
	// there was one.
	First string
	// Second is the token that was refused.
	Second string
}

type observers []Observer

func (os observers) verified(ctx context.Context, r *Received, info VerifyInfo) {
	for _, o := range os {
		if o.Verified != nil {
			o.Verified(ctx, r, info)
		}
	}
}

func (os observers) rejected(ctx context.Context, err *Error, info VerifyInfo) {
	for _, o := range os {
		if o.Rejected != nil {
			o.Rejected(ctx, err, info)
		}
	}
}

func (os observers) entered(ctx context.Context, r *Received) (context.Context, TaskObserver) {
	var first TaskObserver
	var all taskObservers
	for _, o := range os {
		if o.Entered == nil {
			continue
		}
		var t TaskObserver
		switch ctx, t = o.Entered(ctx, r); {
		case t == nil:
		case first == nil:
			first = t
		case all == nil:
			all = taskObservers{first, t}
		default:
			all = append(all, t)
		}
	}
	if all != nil {
		return ctx, all
	}
	return ctx, first
}

func (os observers) issued(ctx context.Context, i *Issued) {
	for _, o := range os {
		if o.Issued != nil {
			o.Issued(ctx, i)
		}
	}
}

func (os observers) evidence(ctx context.Context, e Equivocation) {
	for _, o := range os {
		if o.Evidence != nil {
			o.Evidence(ctx, e)
		}
	}
}

func (os observers) bodyDiffered(ctx context.Context, err *Error, info VerifyInfo) {
	for _, o := range os {
		if o.BodyDiffered != nil {
			o.BodyDiffered(ctx, err, info)
		}
	}
}

func (os observers) altered(ctx context.Context, err *Error, info VerifyInfo) {
	for _, o := range os {
		if o.Altered != nil {
			o.Altered(ctx, err, info)
		}
	}
}

func (os observers) unsent(ctx context.Context, i *Issued) {
	for _, o := range os {
		if o.Unsent != nil {
			o.Unsent(ctx, i)
		}
	}
}

func (os observers) unrecorded(ctx context.Context, err *Error, info VerifyInfo) {
	for _, o := range os {
		if o.Unrecorded != nil {
			o.Unrecorded(ctx, err, info)
		}
	}
}

func (os observers) leaked(ctx context.Context, endpoint string, headers []string) {
	for _, o := range os {
		if o.Leaked != nil {
			o.Leaked(ctx, endpoint, headers)
		}
	}
}
