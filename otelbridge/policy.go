// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge

import "fmt"

// Disclosure says in which form a claim is shown.
type Disclosure uint8

// The forms of a claim.
const (
	// Omit leaves it out.
	Omit Disclosure = iota
	// Pseudonym shows a keyed pseudonym. Equal values look equal within one workflow and one
	// epoch, and different otherwise.
	Pseudonym
	// Plain shows it as it stands in the token.
	Plain
)

// String returns "omit", "pseudonym" or "plain".
func (d Disclosure) String() string { return name(d, "omit", "pseudonym", "plain") }

// Links says to which predecessors a span may point, by link or by event. A link is
// correlation: who sees one of two traces finds the other.
type Links uint8

// The links that may be drawn.
const (
	// LinksNone draws none.
	LinksNone Links = iota
	// LinksSameWorkflow draws those between two tokens that have a workflow, and the same.
	LinksSameWorkflow
	// LinksSameTrustDomain draws those to signed tokens whose issuer is of this service's
	// own trust domain, of whatever workflow. Tokens of other trust domains get none, also
	// in one workflow.
	LinksSameTrustDomain
	// LinksAny draws all.
	LinksAny
)

// String returns "none", "same workflow", "same trust domain" or "any".
func (l Links) String() string {
	return name(l, "none", "same workflow", "same trust domain", "any")
}

// Edge says what becomes of the trace that a message brings to the edge of the trust
// domain.
type Edge uint8

// What may become of it.
const (
	// EdgeRestart begins another trace, which does not point to the one that came.
	EdgeRestart Edge = iota
	// EdgeLink begins another trace, whose first span gets a link to the one that came once
	// the message was verified.
	EdgeLink
	// EdgeContinue goes on with the trace that came.
	EdgeContinue
)

// String returns "restart", "link" or "continue".
func (e Edge) String() string { return name(e, "restart", "link", "continue") }

func name[T ~uint8](v T, of ...string) string {
	if int(v) < len(of) {
		return of[v]
	}
	return fmt.Sprintf("unknown(%d)", uint8(v))
}

// Policy decides what telemetry tells of the tokens: it holds for every span and event that
// the bridge writes. The zero value of every field is the closed one, so that what is left
// out is not shown. [New] refuses a policy that contradicts itself.
type Policy struct {
	// Task is `jti`: of the task, of its dispatches and steps, and of predecessors.
	Task Disclosure
	// Workflow is `wid`.
	Workflow Disclosure
	// Action is `exec_act`.
	Action Disclosure
	// Issuer is `iss`.
	Issuer Disclosure
	// Audience is `aud` of a dispatch.
	Audience Disclosure
	// Hashes is `inp_hash` and `out_hash`. Shown as they are, equal hashes tell that two
	// workflows saw the same data, and the content of a small body can be guessed.
	Hashes Disclosure
	// Checkpoint is `pol` of a policy checkpoint. Unless it is Omit, the decision is shown too.
	Checkpoint Disclosure

	// Links says to which predecessors a span may point. One that it does not admit is counted.
	Links Links
	// Edge says what becomes of a trace that comes from outside, at listeners that have the
	// bridge's propagator for the edge, and in tokens of other trust domains under CarryTrace.
	Edge Edge
	// CarryTrace writes the span context into the tokens that go to audiences which get
	// `traceparent`, and reads it in tokens that come (the member `trace` of `ect_ext`), under
	// EdgeRestart in those of this service's own trust domain alone. It is signed there, and
	// kept as long as the token is.
	CarryTrace bool

	// Keys are what pseudonyms are made with, by epoch. There are some if and only if
	// something is shown as a pseudonym.
	Keys []PseudonymKey
}

// ShowNothing returns the policy that shows nothing of any token but how it was verified
// and how its task ended.
func ShowNothing() Policy { return Policy{} }

// ShowTasks returns the policy to begin with: ids of tasks and workflows are shown, and
// links are drawn within a workflow. Who sees the traces learns the shape of each workflow,
// and can look its tasks up in a ledger if they may read that. Two workflows have nothing
// in common there.
func ShowTasks() Policy {
	return Policy{Task: Plain, Workflow: Plain, Links: LinksSameWorkflow}
}

// ShowPseudonyms returns the policy that shows tasks, workflows, actions, issuers and
// audiences as pseudonyms, and draws links within a workflow. Who sees the traces learns the
// shape of each workflow and that two of its tasks had, say, the same issuer; which one, only
// who holds the key.
func ShowPseudonyms(keys ...PseudonymKey) Policy {
	return Policy{
		Task: Pseudonym, Workflow: Pseudonym, Action: Pseudonym, Issuer: Pseudonym, Audience: Pseudonym,
		Links: LinksSameWorkflow, Keys: keys,
	}
}

// ShowEverything returns the policy that hides nothing: every claim as it stands in the
// token, hashes included, links to whatever a task came after, traces that go on across the
// edge, and span contexts in the tokens themselves. Who sees the traces can tell which
// workflows saw the same data and who works with whom.
func ShowEverything() Policy {
	return Policy{
		Task: Plain, Workflow: Plain, Action: Plain, Issuer: Plain, Audience: Plain, Hashes: Plain, Checkpoint: Plain,
		Links: LinksAny, Edge: EdgeContinue, CarryTrace: true,
	}
}
