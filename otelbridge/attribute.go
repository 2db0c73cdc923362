// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge

import (
	"slices"

	"go.opentelemetry.io/otel/attribute"

	"github.com/go-ect/ect/core"
)

// The attributes of spans, events and metrics. On a span or an event they say something
// of the token that it stands for. A new one must be classified in [Attributes] as well:
// a test reads this file and fails otherwise.
const (
	// AttrTaskID is the task (`jti`), as Policy.Task shows it.
	AttrTaskID attribute.Key = "ect.task.id"
	// AttrWorkflowID is the workflow (`wid`), as Policy.Workflow shows it.
	AttrWorkflowID attribute.Key = "ect.workflow.id"
	// AttrAction is what was done (`exec_act`), as Policy.Action shows it.
	AttrAction attribute.Key = "ect.action"
	// AttrIssuer is who issued the token (`iss`), as Policy.Issuer shows it.
	AttrIssuer attribute.Key = "ect.issuer"
	// AttrAudience is whom a dispatch was for (`aud`), as Policy.Audience shows it.
	AttrAudience attribute.Key = "ect.audience"
	// AttrInputHash is the hash of what came in (`inp_hash`), as Policy.Hashes shows it.
	AttrInputHash attribute.Key = "ect.input.hash"
	// AttrOutputHash is the hash of what went out (`out_hash`), as Policy.Hashes shows it.
	AttrOutputHash attribute.Key = "ect.output.hash"
	// AttrPolicy is the policy of a checkpoint (`pol`), as Policy.Checkpoint shows it.
	AttrPolicy attribute.Key = "ect.policy"
	// AttrPolicyDecision is what that policy decided, a [core.Decision]. It is there only
	// where Policy.Checkpoint is not Omit.
	AttrPolicyDecision attribute.Key = "ect.policy.decision"

	// AttrLevel is the level achieved, a [core.Level].
	AttrLevel attribute.Key = "ect.level"
	// AttrBinding tells how the issuer's key was bound to it, a [core.Binding].
	AttrBinding attribute.Key = "ect.binding"
	// AttrResult is [ResultAccepted], or the [core.Code] of a refusal.
	AttrResult attribute.Key = "ect.result"
	// AttrOutcome tells how a task ended, a [core.Outcome].
	AttrOutcome attribute.Key = "ect.outcome"
	// AttrKind tells what a token is for, a [core.Kind].
	AttrKind attribute.Key = "ect.kind"
	// AttrErrorType is the [core.Code] of a refusal, under the name that OpenTelemetry has
	// for it.
	AttrErrorType attribute.Key = "error.type"

	// AttrPredecessorCount is how many predecessors a token names, whether they have links
	// and events or not.
	AttrPredecessorCount attribute.Key = "ect.predecessor.count"
	// AttrPredecessorWithheld is how many of them have neither link nor event, because
	// Policy.Links does not admit them, or nothing is remembered of them.
	AttrPredecessorWithheld attribute.Key = "ect.predecessor.withheld"

	// AttrTransport is what brought a message, a [core.Transport]. It is a label of metrics.
	AttrTransport attribute.Key = "ect.transport"
	// AttrCode is the [core.Code] of a refusal. It is a label of metrics.
	AttrCode attribute.Key = "ect.code"
)

// The events of spans.
const (
	// EventPredecessor is a token that the span's own comes after.
	EventPredecessor = "ect.predecessor"
	// EventDispatch is a token that went with a call.
	EventDispatch = "ect.dispatch"
	// EventStep is a token for a step of the task, a join included.
	EventStep = "ect.step"
	// EventAnswer is a token that came back from a call.
	EventAnswer = "ect.answer"
	// EventTask is a task token that ended in a span which stands for another token.
	EventTask = "ect.task"
	// EventRefused is an answer that was refused, in the span of a caller who may go on, or a
	// message from a queue, in the span of a task that goes on.
	EventRefused = "ect.refused"
	// EventUnsent is a token that somebody asked for and that could not be sent.
	EventUnsent = "ect.unsent"
	// EventEquivocation tells that one issuer gave one task id to two tokens.
	EventEquivocation = "ect.equivocation"
)

// ResultAccepted is the value of [AttrResult] where a message was accepted.
const ResultAccepted = "accepted"

// AttributeInfo classifies an attribute. It is of a claim, or it has a closed set of
// values, or else it is a count: a small number that no two workflows can be told by.
type AttributeInfo struct {
	Key attribute.Key
	// Claim is what the value comes from, 0 if it comes from no claim. [Policy] has a field
	// that decides how it is shown.
	Claim Claim
	// Values are all the values it can have, nil if it is of a claim or a count.
	Values []string
}

// Attributes returns every attribute that this package writes, in the order of the
// constants. It is for tests that look for leaks and for configurations of collectors: what
// is not in the list is not from here.
func Attributes() []AttributeInfo {
	all := make([]AttributeInfo, 0, len(claims)+len(closed)+2)
	for c := ClaimTask; c < claimEnd; c++ {
		all = append(all, AttributeInfo{Key: claims[c].attribute, Claim: c})
	}
	for _, e := range closed {
		all = append(all, AttributeInfo{Key: e.key, Values: e.values()})
	}
	return append(all, AttributeInfo{Key: AttrPredecessorCount}, AttributeInfo{Key: AttrPredecessorWithheld})
}

// closed has the attributes whose values are few and known. Those that are shown of a
// message say how it was verified, and nothing of what it says.
var closed = []struct {
	key    attribute.Key
	values func() []string
}{
	{AttrPolicyDecision, func() []string {
		return []string{string(core.Approved), string(core.Rejected), string(core.PendingHumanReview)}
	}},
	{AttrLevel, func() []string { return names(core.Level(0), core.L1, core.L2, core.L3) }},
	{AttrBinding, func() []string { return names(core.BindingNone, core.BindingJWKSet) }},
	{AttrResult, func() []string { return append(names(core.Codes()...), ResultAccepted) }},
	{AttrOutcome, func() []string { return names(core.OutcomeOK, core.OutcomeError, core.OutcomeCancelled) }},
	{AttrKind, func() []string { return names(core.KindTask, core.KindDispatch, core.KindStep, core.KindJoin) }},
	{AttrErrorType, func() []string { return names(core.Codes()...) }},
	{AttrTransport, func() []string { return names(core.TransportOther, core.TransportHTTP, core.TransportGRPC) }},
	{AttrCode, func() []string { return names(core.Codes()...) }},
}

func names[T interface{ String() string }](of ...T) []string {
	all := make([]string, 0, len(of)+1)
	for _, v := range of {
		all = append(all, v.String())
	}
	return slices.Clip(all)
}
