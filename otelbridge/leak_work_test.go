// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/interop/grpc_testing"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/core/id"
	"github.com/go-ect/ect/ecttest"
	"github.com/go-ect/ect/httpect"
)

// What both workflows have in common.
const (
	documentID = "doc-7d1f"
	action     = "assess-for-credit"
	pol        = "urn:example:policy:four-eyes"
	model      = "clerk-7b"
	scored     = "POST /scores/{id}" // what the scorer does, which is left to the route
)

// document is what both workflows work on.
var document = bytes.Repeat([]byte("Statement of income. "), 37)

func hashOf(b []byte) core.Hash { return core.Hash{Sum: sha256.Sum256(b), Present: true} }

// post sends the document, and reads the answer to its end.
func post(ctx context.Context, c *http.Client, url string, tokens ...string) (status int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(document))
	if err != nil {
		return 0, err
	}
	if task, ok := core.TaskFromContext(ctx); ok {
		req.Header.Set(forWorkflow, task.Workflow().String())
	}
	if len(tokens) > 0 {
		req.Header[httpect.FieldName] = tokens
	}
	resp, err := c.Do(req)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, errors.Join(err, resp.Body.Close())
}

// assess is what the agent does with a document: it decides, asks everyone at once, works in
// more branches than one token can name, and says no.
func (b *bureau) assess(w http.ResponseWriter, r *http.Request) {
	if err := b.assessed(w, r); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

func (b *bureau) assessed(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	if b.meet != nil {
		if err := b.meet(ctx); err != nil {
			return err
		}
	}
	task, ok := core.TaskFromContext(ctx)
	if !ok {
		return core.ErrNoTask
	}
	value, err := json.Marshal(model)
	if err != nil {
		return err
	}
	err = errors.Join(task.SetAction(action), task.Annotate(annotation, value), task.Checkpoint(core.PolicyCheckpoint{
		Policy: pol, Decision: core.Rejected, Enforcer: ecttest.Name + "/enforcer", Time: time.Now(),
	}))
	if err != nil {
		return err
	}
	if _, err := task.Step(ctx, "redact-names", core.StepInput{InpHash: hashOf(body), OutHash: hashOf(body[1:])}); err != nil {
		return err
	}
	if err := b.ask(ctx, task); err != nil {
		return err
	}
	var joins []func()
	for range core.MaxFrontier + 1 {
		at, branch := task.Branch(ctx)
		if _, err := task.Step(at, "weigh-risk", core.StepInput{}); err != nil {
			return err
		}
		joins = append(joins, branch.Join)
	}
	for _, join := range joins {
		join()
	}
	if _, err := task.Step(ctx, "conclude-case", core.StepInput{}); err != nil {
		return err
	}
	w.WriteHeader(http.StatusForbidden)
	_, err = w.Write(body)
	return err
}

// ask asks everyone at once.
func (b *bureau) ask(ctx context.Context, task *core.Task) error {
	calls := []func(context.Context) error{
		func(ctx context.Context) error {
			return expect(http.StatusOK)(post(ctx, b.agent.client, b.scorerURL+"/scores/"+documentID))
		},
		func(ctx context.Context) error {
			return expect(http.StatusOK)(post(ctx, b.agent.bare, b.archiveURL+"/files/"+documentID))
		},
		func(ctx context.Context) error {
			return expect(http.StatusOK)(post(ctx, b.agent.bare, b.archiveURL+"/boxes/"+documentID))
		},
		func(ctx context.Context) error {
			_, err := b.names.UnaryCall(ctx, &grpc_testing.SimpleRequest{Payload: &grpc_testing.Payload{Body: document}})
			return err
		},
		func(ctx context.Context) error { // it owes an answer and has none, which is the agent's to bear
			if _, err := post(ctx, b.agent.bare, b.cabinet+"/"+documentID); core.CodeOf(err) != core.CodeAnswer {
				return fmt.Errorf("the cabinet: %w", err)
			}
			return nil
		},
	}
	errs := make([]error, len(calls))
	var wait sync.WaitGroup
	for n, call := range calls {
		at, branch := task.Branch(ctx)
		wait.Go(func() {
			defer branch.Join()
			errs[n] = call(at)
		})
	}
	wait.Wait()
	return errors.Join(errs...)
}

// expect makes an error of every other status.
func expect(want int) func(status int, err error) error {
	return func(status int, err error) error {
		if err == nil && status != want {
			err = fmt.Errorf("status %d, want %d", status, want)
		}
		return err
	}
}

// refer is what the agent does with a case: it asks the scorer before it does anything itself.
func (b *bureau) refer(w http.ResponseWriter, r *http.Request) {
	if err := expect(http.StatusOK)(post(r.Context(), b.agent.client, b.scorerURL+"/scores/"+documentID)); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

// give is what scorer, archive and cabinet do: it gives the document back.
func give(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Write(body) //nolint:errcheck // who asked would notice
}

// box gives the document back with a length, so that the archive's record has no place.
func box(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Length", strconv.FormatInt(r.ContentLength, 10))
	give(w, r)
}

// names is what the registry does.
type names struct {
	grpc_testing.UnimplementedTestServiceServer
	log *workLog
}

func (n names) UnaryCall(ctx context.Context, in *grpc_testing.SimpleRequest) (*grpc_testing.SimpleResponse, error) {
	if task, ok := core.TaskFromContext(ctx); ok {
		n.log.trace(ctx, task.Workflow().String())
	}
	return &grpc_testing.SimpleResponse{Payload: in.GetPayload()}, nil
}

// submission is one workflow, from its beginning to its end.
type submission struct {
	b        *bureau
	tenant   *office
	workflow core.Workflow
	// stored is what Jaeger has of it.
	stored spots
}

// tenant makes somebody who has the agent do something.
func (b *bureau) tenant(t *testing.T, name string) *submission {
	t.Helper()
	return &submission{b: b, tenant: b.office(t, name, core.Audience{
		ID: b.agent.Identity, Endpoints: []string{b.agentURL}, Tokens: true, Hashes: true, Answer: core.AnswerRequired, Trace: core.TraceParent,
	})}
}

// submit goes through a workflow: a job that no request started has the agent assess the
// document, is refused twice, and ends in a span that stands for a step of it. A second
// assessment comes after tokens of other workflows as well, if there are any.
func (s *submission) submit(t *testing.T, after ...string) error {
	ctx, task, err := s.tenant.service.StartTask(t.Context(), "apply-for-loan")
	if err != nil {
		return err
	}
	s.workflow = task.Workflow()
	ctx, span := s.tenant.tracers.Tracer("job").Start(ctx, "job")
	defer span.End()
	s.b.log.trace(ctx, s.workflow.String())
	if _, err := task.Step(ctx, "collect-papers", core.StepInput{OutHash: hashOf(document)}); err != nil {
		return err
	}
	documents, notes := s.b.agentURL+"/documents/"+documentID, s.b.agentURL+"/notes"
	twice := id.NewUUID().String()
	type send struct {
		what   string
		client *http.Client
		url    string
		tokens []string
		want   int
	}
	sends := []send{
		{"an assessment", s.tenant.client, documents, nil, http.StatusForbidden},
		{"the first of two tokens of one id", s.tenant.plain, notes, []string{s.mint(t, twice, "note-first")}, http.StatusOK},
		{"the second of them", s.tenant.plain, notes, []string{s.mint(t, twice, "note-second")}, http.StatusForbidden},
		{"no token", s.tenant.plain, notes, nil, http.StatusForbidden},
	}
	if len(after) > 0 {
		heads := append([]string{s.mint(t, id.NewUUID().String(), "apply-for-loan")}, after...)
		sends = append(sends, send{"an assessment after another workflow", s.tenant.plain, documents, heads, http.StatusForbidden},
			send{"a case after it", s.tenant.plain, s.b.agentURL + "/cases", heads, http.StatusOK})
	}
	for _, r := range sends {
		if err := expect(r.want)(post(ctx, r.client, r.url, r.tokens...)); err != nil {
			return fmt.Errorf("%s: %w", r.what, err)
		}
	}
	_, err = task.Finish(ctx, core.Completion{})
	return err
}

// mint makes a token to the agent in the tenant's name, for the document.
func (s *submission) mint(t *testing.T, task, action string) string {
	t.Helper()
	sum := sha256.Sum256(document)
	token := s.tenant.Token(s.b.agent.Identity).With("jti", task).With("wid", s.workflow.String()).
		With("exec_act", action).With("out_hash", base64.RawURLEncoding.EncodeToString(sum[:])).Sign(t)
	s.b.log.token(s.workflow, token)
	return token
}
