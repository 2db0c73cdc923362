// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core

import "context"

// Observer is told what happens, in the manner of net/http/httptrace: traces, metrics
// and audit logs attach here. Every function is optional. They are called while a
// request waits, perhaps several at once, and must not keep what they are given
// beyond what its own documentation allows.
type Observer struct {
	// Verified is called once a message was accepted.
	Verified func(ctx context.Context, r *Received)
	// Rejected is called once a message was refused, or would have been in a mode that
	// only observes. Nothing of the message is in the error but its code and cause. A body
	// that differs once the message was accepted goes to BodyDiffered instead.
	Rejected func(ctx context.Context, err *Error)
	// Issued is called for every token this service issued, sent or not.
	Issued func(ctx context.Context, i *Issued)
	// Evidence is called when one issuer gave one task id to two tokens. It is the one
	// place where a refused token is shown: its signature was verified.
	Evidence func(ctx context.Context, e Equivocation)
	// BodyDiffered is called when a body turned out not to be the one that its sender's
	// record names, perhaps long after the message was accepted.
	BodyDiffered func(ctx context.Context, err *Error)
	// Altered is called when an answer is missing or does not fit its body, and what came
	// shows that something on the way changed it; whether the call fails is for the
	// adapter's policy to say. It is called in place of BodyDiffered.
	Altered func(ctx context.Context, err *Error)
	// Unsent is called when a task token that somebody asked for could not be sent: no
	// room in the header, or no place for a trailer.
	Unsent func(ctx context.Context, i *Issued)
	// Unrecorded is called when a task was done and its token could not be issued.
	Unrecorded func(ctx context.Context, err *Error)
}

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

func (os observers) verified(ctx context.Context, r *Received) {
	for _, o := range os {
		if o.Verified != nil {
			o.Verified(ctx, r)
		}
	}
}

func (os observers) rejected(ctx context.Context, err *Error) {
	for _, o := range os {
		if o.Rejected != nil {
			o.Rejected(ctx, err)
		}
	}
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

func (os observers) bodyDiffered(ctx context.Context, err *Error) {
	for _, o := range os {
		if o.BodyDiffered != nil {
			o.BodyDiffered(ctx, err)
		}
	}
}

func (os observers) altered(ctx context.Context, err *Error) {
	for _, o := range os {
		if o.Altered != nil {
			o.Altered(ctx, err)
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

func (os observers) unrecorded(ctx context.Context, err *Error) {
	for _, o := range os {
		if o.Unrecorded != nil {
			o.Unrecorded(ctx, err)
		}
	}
}
