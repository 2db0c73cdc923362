// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/go-ect/ect/core/dag"
	"github.com/go-ect/ect/core/replay"
)

// checkGraph is step 12: the rules of the graph, and which workflow goes on.
func (m *message) checkGraph(ctx context.Context) *Error {
	m.result = &Received{transport: m.p.Transport}
	for i := range m.tokens {
		t := &m.tokens[i]
		switch {
		case t.copied:
		case t.role == Notice:
			v := new(Verified)
			v.take(t)
			m.result.notices = append(m.result.notices, v)
		case t.unbound != nil:
			m.result.notCarried++
		default:
			m.propose(t)
			m.at = append(m.at, i)
		}
	}
	rules := m.v.rules()
	goesOn := m.crossings(&rules)
	m.proposal = dag.Proposal{Batch: m.batch, Rules: rules}
	judged, err := m.v.cfg.tasks.Check(ctx, &m.proposal)
	if err != nil {
		return m.graphError(ctx, err)
	}
	if bad := m.describe(judged); bad != nil {
		return bad
	}
	if bad := m.checkAnswer(judged); bad != nil {
		return bad
	}
	return m.decideWorkflow(goesOn)
}

// propose makes a token an entry for the task store.
func (m *message) propose(t *received) {
	m.batch = append(m.batch, dag.Entry{
		Node: t.node,
		Head: t.role == Head,
		// An answer's further predecessors are its issuer's business (profile 5.2).
		Required: t.role == Head && m.p.answers == nil && m.v.policy.Missing == RejectMissing,
	})
	n := &m.batch[len(m.batch)-1].Node
	if t.signed {
		n.Key.Issuer, n.Token, n.Domain = t.key.Issuer, t.normal, t.key.Domain
	} else {
		n.Key.Issuer = strings.Clone(n.Key.Issuer) // not to keep the whole payload for it
	}
}

// crossings lets the policy decide on edges between workflows, and returns what goes on
// from tokens that have one.
func (m *message) crossings(rules *dag.Rules) map[Digest]Workflow {
	if m.v.policy.CrossWorkflow == nil {
		return nil
	}
	goesOn := map[Digest]Workflow{}
	rules.Cross = func(from, to *dag.Node) bool {
		w, ok := m.v.admitsEdge(from, to)
		if named, again := goesOn[to.Digest]; again && named != w {
			return false // two edges of one token, or one asked twice, would go on differently
		}
		goesOn[to.Digest] = w
		return ok
	}
	return goesOn
}

// rules returns the graph's part of the policy; edges between workflows are not in it.
func (v *Verifier) rules() dag.Rules {
	return dag.Rules{Skew: int64(v.policy.predSkew / time.Second), MinLevel: uint8(v.policy.MinChainLevel)}
}

func (v *Verifier) admitsEdge(from, to *dag.Node) (Workflow, bool) {
	return v.policy.CrossWorkflow(CrossWorkflowEdge{
		PredIssuer: known(from), Pred: from.Key.Task, PredWorkflow: from.Workflow,
		ChildIssuer: known(to), Child: to.Key.Task, ChildWorkflow: to.Workflow,
	})
}

// known is the issuer of a signed token; of an unsigned one nobody knows it.
func known(n *dag.Node) string {
	if !n.Key.Signed {
		return ""
	}
	return n.Key.Issuer
}

// describe turns the judgements into results, each with the predecessors that came
// along.
func (m *message) describe(judged []dag.Judgement) *Error {
	if len(judged) != len(m.batch) {
		return refuse(CodeUnavailable, "the task store judged another batch")
	}
	r := m.result
	all := r.room(len(judged))
	for n := range judged {
		t, v := &m.tokens[m.at[n]], &all[n]
		v.take(t)
		v.judged(judged[n])
		v.link.set(&t.claims.Claims, t.digest, v.Text())
		m.made = append(m.made, v)
		if t.role == Head {
			r.heads = append(r.heads, v)
		} else {
			r.context = append(r.context, v)
		}
	}
	if len(all) > 1 {
		m.connect(judged)
	}
	r.sender, r.peer = m.sender(), m.p.Evidence.Peer
	return nil
}

// connect finds the predecessors that came along.
func (m *message) connect(judged []dag.Judgement) {
	for n, v := range m.made {
		for _, d := range judged[n].Preds {
			for _, p := range m.made {
				if p.digest == d && p != v {
					v.carried = append(v.carried, p)
					v.link.preds = append(v.link.preds, &p.link)
				}
			}
		}
	}
	links := make([]*link, len(m.made))
	for n, v := range m.made {
		links[n] = &v.link
	}
	tie(links)
}

// take makes v the result of a token, of which the graph has not been asked.
func (v *Verified) take(t *received) {
	v.token, v.role, v.binding, v.partial, v.lowest = t.token, t.role, t.key.Binding, true, L1
}

// sender finds the head that the body belongs to (profile 9.7).
func (m *message) sender() *Verified {
	heads, peer := m.result.heads, m.p.Evidence.Peer
	if peer == "" {
		if len(heads) == 1 {
			return heads[0]
		}
		return nil
	}
	var found *Verified
	for _, h := range heads {
		if h.claims.issuer != peer {
			continue
		}
		if found != nil {
			return nil
		}
		found = h
	}
	return found
}

// checkAnswer holds an answer against the dispatch it answers.
func (m *message) checkAnswer(judged []dag.Judgement) *Error {
	want := m.p.answers
	if want == nil {
		return nil
	}
	heads := m.result.heads
	if len(heads) != 1 {
		return refuse(CodeAnswer, "an answer has one head")
	}
	if heads[0].claims.issuer != want.peer {
		return refuse(CodeAnswer, "the answer is not by the identity that was called")
	}
	if want.taken(heads[0].claims.TaskID, heads[0].digest) {
		return refuse(CodeAnswer, "the answer bears the task id of another token of the task")
	}
	for n := range judged {
		if m.batch[n].Digest != heads[0].digest {
			continue
		}
		if slices.Contains(judged[n].Preds, want.dispatch) {
			return nil
		}
	}
	return refuse(CodeAnswer, "the answer does not name the dispatch")
}

// decideWorkflow finds the workflow that a task on these heads is part of.
func (m *message) decideWorkflow(goesOn map[Digest]Workflow) *Error {
	named := func(h *Verified) Workflow {
		if w, ok := goesOn[h.digest]; ok {
			return w
		}
		return h.claims.Workflow
	}
	heads := m.result.heads
	m.result.workflow = named(heads[0])
	same := true
	for _, h := range heads[1:] {
		same = same && named(h) == m.result.workflow
	}
	if same {
		return nil
	}
	if m.v.policy.CrossWorkflow == nil {
		return refuse(CodeWorkflow, "the heads are of several workflows")
	}
	for n, h := range heads {
		w, ok := m.v.policy.CrossWorkflow(CrossWorkflowEdge{
			PredIssuer: h.Issuer(), Pred: h.claims.TaskID, PredWorkflow: named(h), ChildIssuer: m.v.policy.Audience,
		})
		if !ok || n > 0 && w != m.result.workflow {
			return refuse(CodeWorkflow, "the heads are of several workflows")
		}
		m.result.workflow = w
	}
	return nil
}

// checkBody is the body's part of step 13: what can be said of the body before the handler
// runs, which under [BodyRequire] is all of it. A body that is only observed, and that of an
// answer, is compared by the adapter as it is read.
func (m *message) checkBody(ctx context.Context) *Error {
	policy, s := m.v.policy.Body, m.result.sender
	if policy == BodyIgnore {
		return nil
	}
	named := s != nil && s.claims.OutHash.Present
	if m.p.NoContent {
		if named {
			return refuse(CodeBody, "the sender's record names content, and none came")
		}
		return nil
	}
	if policy == BodyRequire && (!named || m.p.answers != nil && !s.claims.InpHash.Present) {
		return refuse(CodeBody, "the sender's record names no body")
	}
	if !named {
		return nil
	}
	content := m.p.Content
	switch {
	case content.Present:
	case m.p.whole:
		return refuse(CodeBody, "the sender's record names the content, and no hash of it was given")
	case policy == BodyRequire && m.p.answers == nil && !m.p.Observe:
		var bad *Error
		if content, bad = m.readContent(ctx); bad != nil {
			return bad
		}
		m.now = m.v.cfg.now() // a sender may take its time
		if bad := m.checkHeads(ctx); bad != nil {
			return bad
		}
	}
	if content.Present && content != s.claims.OutHash {
		return refuse(CodeBody, "the body is not the one that the sender's record names")
	}
	return nil
}

func (m *message) readContent(ctx context.Context) (Hash, *Error) {
	if m.p.ReadContent == nil {
		return Hash{}, refuse(CodeBody, "the body cannot be read before it is handed on")
	}
	content, err := m.p.ReadContent(ctx)
	if err != nil {
		if bad, ok := errors.AsType[*Error](err); ok {
			return Hash{}, bad
		}
		return Hash{}, NewError(CodeUnavailable, err)
	}
	if !content.Present {
		return Hash{}, refuse(CodeBody, "the body has no hash")
	}
	return content, nil
}

// claim is step 14, and lets the tokens into the task store once it succeeded.
func (m *message) claim(ctx context.Context) *Error {
	if m.v.policy.Replay != ReplayOff && !m.p.Observe {
		if bad := m.claimIDs(ctx); bad != nil {
			return bad
		}
	}
	judged, err := m.v.cfg.tasks.Admit(ctx, &m.proposal)
	if err == nil && len(judged) != len(m.made) {
		err = errors.New("the task store judged another batch")
	}
	if err != nil {
		bad := m.graphError(ctx, err)
		if rel := m.result.Release(ctx); rel != nil {
			return NewError(bad.Code, errors.Join(bad.err, rel))
		}
		return bad
	}
	for n, v := range m.made {
		v.judged(judged[n]) // as it is stored: others may have come in between
	}
	return nil
}

// judged takes over what the graph says of a token.
func (v *Verified) judged(j dag.Judgement) {
	v.lowest, v.partial, v.cross, v.missing = Level(j.Lowest), j.Partial, j.Cross, j.Missing
}

func (m *message) claimIDs(ctx context.Context) *Error {
	batch := m.result.claim[:0]
	for n := range m.batch {
		t := &m.tokens[m.at[n]]
		if t.role != Head {
			continue
		}
		k := &m.batch[n].Key
		last := t.claims.IssuedAt.Add(m.v.policy.maxAge)
		if t.claims.Expiry.Before(last) {
			last = t.claims.Expiry
		}
		batch = append(batch, replay.Claim{
			Key: replay.NewKey(k.Signed, k.Issuer, k.Task), Digest: replay.Digest(t.digest.Short()),
			Signed: k.Signed, Domain: t.key.Domain,
			NotAfter: last.Add(m.v.policy.leeway).Unix(),
		})
	}
	once := m.v.policy.Replay == ReplayOncePerInstance
	outcomes, err := m.v.cfg.replay.Claim(ctx, batch, once)
	if err != nil {
		return NewError(CodeUnavailable, err)
	}
	if len(outcomes) != len(batch) {
		return refuse(CodeUnavailable, "the replay store answered for another batch")
	}
	bad, fresh := m.outcomes(ctx, outcomes, batch, once)
	if bad == nil && once {
		// In the idempotent mode another message may be acting on the same claim.
		m.result.store, m.result.claims = m.v.cfg.replay, fresh
	}
	return bad
}

// outcomes says what the store's answers mean for the message, and which claims are its
// own.
func (m *message) outcomes(ctx context.Context, outcomes []replay.Outcome, batch []replay.Claim, once bool) (bad *Error, fresh []replay.Claim) {
	fresh = batch[:0]
	for n, o := range outcomes {
		switch {
		case o == replay.Conflict:
			if h := m.result.heads[n]; h.signed {
				m.v.cfg.observers.evidence(ctx, Equivocation{Issuer: h.claims.issuer, TaskID: h.claims.TaskID, Second: h.Text()})
			}
			bad = refuse(CodeEquivocation, "another token of the same issuer and id was presented before")
		case o == replay.Same && once:
			if bad == nil {
				bad = refuse(CodeReplayed, "the token was presented before")
			}
		case o == replay.Fresh:
			fresh = append(fresh, batch[n])
		case o != replay.Same:
			return refuse(CodeUnavailable, "the replay store gave an answer that is none"), nil
		}
	}
	return bad, fresh
}

// graphError says in codes what the graph answered, and shows evidence of equivocation.
func (m *message) graphError(ctx context.Context, err error) *Error {
	r, ok := errors.AsType[*dag.Refusal](err)
	if !ok {
		return NewError(CodeUnavailable, err)
	}
	code, ok := graphCodes[r.Reason]
	if !ok {
		return NewError(CodeUnavailable, err)
	}
	if r.Reason == dag.Equivocation && r.First.Key.Signed && r.Index < len(m.batch) {
		m.v.cfg.observers.evidence(ctx, Equivocation{
			Issuer: r.First.Key.Issuer, TaskID: r.First.Key.Task,
			First: r.First.Token, Second: m.batch[r.Index].Token,
		})
	}
	return NewError(code, err)
}

var graphCodes = map[dag.Reason]Code{
	dag.Missing:       CodePredMissing,
	dag.Ambiguous:     CodePredAmbiguous,
	dag.Differs:       CodePredDigest,
	dag.TooLate:       CodePredTime,
	dag.CrossWorkflow: CodeWorkflow,
	dag.ChainLevel:    CodeChainLevel,
	dag.Cycle:         CodeCycle,
	dag.WalkLimit:     CodeWalkLimit,
	dag.Equivocation:  CodeEquivocation,
}
