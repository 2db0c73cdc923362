// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"context"
	"crypto/sha256"
	"errors"
)

// The names under which a [Carrier] has what goes with a message. They are those of the
// HTTP fields and of gRPC metadata, in lower case.
const (
	// CarrierTokens is the name of the tokens.
	CarrierTokens = "execution-context"
	// CarrierReceipts is the name of the receipts (profile 8.3). This version writes none.
	CarrierReceipts = "execution-context-receipt"
)

// Carrier is what goes with a message beside its content, where no adapter knows the
// transport: the headers of a queue's message, the metadata of an object, a file beside a
// file. [Inject] and [Extract] use it for one message and from one goroutine.
type Carrier interface {
	// Get returns the values of a name as they came, none where it is absent. A carrier
	// that holds one string for a name returns that string: values joined with a comma are
	// taken apart by the verifier, and its limits hold whatever is returned.
	Get(name string) []string
	// Set replaces the values of a name; without values it removes the name. A carrier that
	// holds one string for a name joins them with ", ", as no token has a comma in it. A
	// carrier that cannot hold what it is given must make the sending of its message fail:
	// cut off, tokens are refused.
	Set(name string, values []string)
}

// MapCarrier is a [Carrier] in a map, which must not be nil. Names are compared as they
// are, with case.
type MapCarrier map[string][]string

// Get implements [Carrier].
func (m MapCarrier) Get(name string) []string { return m[name] }

// Set implements [Carrier].
func (m MapCarrier) Set(name string, values []string) {
	if len(values) == 0 {
		delete(m, name)
		return
	}
	m[name] = values
}

// HashOf returns the hash of a message's content, the empty content included (profile 9.6).
func HashOf(content []byte) Hash { return Hash{Sum: sha256.Sum256(content), Present: true} }

// ErrNoTask reports that a context carries no task: there is nothing that a message or a
// call to a peer that gets tokens could come after. Start one with [Service.StartTask].
var ErrNoTask = errors.New("ect: the context carries no task")

// Inject dispatches a message from the task of ctx to the peer of an identity: it issues
// a token, and gives the carrier that token and the context that the peer may have. What
// stood in the carrier before is removed, also where Inject fails, so that nothing of
// others is passed on. Send the message with the content that in.OutHash is of; without
// that hash, or to an audience that gets no hashes, nothing binds the content.
//
// The dispatch is in the frontier once Inject returns: whatever the task does next comes
// after it, because the message may be sent from then on. Where sending fails the dispatch
// stands, and says that the message may have gone. Send the same message with the same
// tokens again, which is refused where the first one did arrive; or inject into another
// message, which is another dispatch.
//
// Errors are [ErrNoTask], [ErrTaskFinished], [ErrNoAudience] for a peer that the audiences
// do not name, and those of issuing: whoever names a peer learns that it is told nothing,
// as its refusal would come late and elsewhere. Ask [Audiences.ByID] before where a message
// goes to peers of both kinds.
//
// A peer that rejects missing predecessors needs an audience of at least Context 1, unless
// the dispatch is the first thing of a root task: see [Audience].
//
// An answer comes back only if the peer sends it, in a message of its own. Verify that with
// [Dispatch.Verify], as long as the task runs; without it the dispatch is the last that this
// service's graph has of the message.
func Inject(ctx context.Context, c Carrier, to string, in DispatchInput) (*Dispatch, error) {
	c.Set(CarrierTokens, nil)
	c.Set(CarrierReceipts, nil)
	t, ok := TaskFromContext(ctx)
	if !ok {
		return nil, ErrNoTask
	}
	a, ok := t.service.audiences.ByID(to)
	if !ok {
		return nil, ErrNoAudience
	}
	d, err := t.Dispatch(ctx, a, in)
	if err != nil {
		return nil, err
	}
	c.Set(CarrierTokens, d.Tokens())
	d.Done()
	return d, nil
}

// ExtractInput says what an extracted message is held against.
type ExtractInput struct {
	// Action is what the message asks for, the `exec_act` of the task token unless
	// [Task.SetAction] or the [Completion] names another. It is required.
	Action string
	// Content is the hash of the message's content: see [HashOf]. It is needed wherever the
	// sender's record names one, unless the policy says [BodyIgnore]; and it is the
	// `inp_hash` of the task token unless the [Completion] has another.
	Content Hash
	// MinLevel raises the policy's minimum level; a lower one changes nothing.
	MinLevel Level
}

// Extract verifies what a carrier holds and starts the task that answers it, as the
// adapters do for a request: the tokens are claimed, the heads are what the task comes
// after, and the context that it returns is that of the task. The carrier is not changed;
// inject into what is passed on. Finish the task with [Completion].Keep, unless
// [Answer].Tokens go back in a message of their own.
//
// The error is an [*Error], and nothing is claimed then: [CodeRequired] if no token came,
// [CodeBody] if the content is not the one that the sender recorded, or is recorded and no
// hash of it was given, [CodeUnavailable] if the service cannot look now or records no
// tasks. A consumer that takes messages without tokens starts a root task for them.
//
// # Messages that come twice
//
// A queue that delivers at least once delivers again what was not acknowledged in time.
// Under [ReplayOncePerInstance] that is refused with [CodeReplayed], whether the work on the
// first delivery was done, failed or still goes on. Acknowledge what was refused so, since
// it will be again; work that failed has to be dispatched again by its sender. Where work
// may be done twice, say [ReplayIdempotent] and acknowledge after [Task.Finish]: each
// delivery is then a task of its own, and the graph shows several after one dispatch. One
// policy is of one verifier, so a queue may need a service of its own, over the same task
// store ([WithTaskStore]).
//
// Claims are in this process's memory unless the verifier was given a store that is shared:
// another instance, or the same one after a restart, takes a message that this one claimed.
// [Received.Release] is for messages that no handler saw, never for work that failed.
//
// # Messages that wait
//
// A token is accepted for 10 minutes after it was issued unless its issuer and its verifier
// say otherwise. Where messages wait up to some longer time, the sender's issuer needs that
// time, 24 hours at most, as [WithLifetime], and the receiver as MaxAge of its [Policy]; the
// receiver remembers each token that long. What waits longer than a day is refused, and has
// to be dispatched again by a task that vouches for it.
func Extract(ctx context.Context, s *Service, c Carrier, in ExtractInput) (context.Context, *Task, error) {
	if err := s.mayStart(in.Action); err != nil {
		bad := NewError(CodeUnavailable, err)
		s.Rejected(ctx, bad, VerifyInfo{})
		return ctx, nil, bad
	}
	r, err := s.verifier.Verify(ctx, Presented{
		Values: c.Get(CarrierTokens), MinLevel: in.MinLevel, Content: in.Content, whole: true,
	})
	if err != nil {
		return ctx, nil, err
	}
	ctx, t := s.begin(ctx, in.Action, r, r.Workflow())
	t.input = in.Content
	if from, ok := r.Sender(); ok && from.OutHash().Present && s.verifier.policy.Body != BodyIgnore {
		t.body = BodyBound
	}
	return ctx, t, nil
}
