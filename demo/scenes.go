package main

import (
	"context"
	"fmt"
	"os"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"kilter.dev/kilter/internal/await"
)

// patience bounds every scene.
const patience = 2 * time.Minute

// scene is one thing that happens. act makes it happen; until returns when the cluster, or Kilter, has answered. The time between
// the two is shown.
type scene struct {
	title  string
	act    func(context.Context, *stage) error
	until  func(context.Context, *stage) error
	shown  string   // what was seen
	settle []string // the texts of the line with which Kilter ends the scene
}

// settled is in the line that says that everything is as Git says.
var settled = []string{" objects: ", " current  ("}

var scenes = []scene{
	{
		title: "First sync: what is in Git comes to the cluster, in order of its dependencies",
		act:   func(context.Context, *stage) error { return nil },
		until: func(ctx context.Context, s *stage) error { return s.line(ctx, settled...) },
		shown: "every object is in the cluster and every rollout has finished",
	},
	{
		title: "A push edits a schedule: CronJob report moves from 06:00 to 07:30",
		act: func(ctx context.Context, s *stage) error {
			if err := s.repo.Replace("prod/cronjobs/report.yaml", `"0 6 * * 1-5"`, `"30 7 * * 1-5"`); err != nil {
				return err
			}
			return s.push(ctx, "Send the report after the night's orders are in")
		},
		until: func(ctx context.Context, s *stage) error {
			report := await.Object{Client: s.cluster.BatchV1().RESTClient(), Resource: "cronjobs", Namespace: namespace, Name: "report"}
			_, err := await.Until(ctx, report, func(c *batchv1.CronJob) bool { return c.Spec.Schedule == "30 7 * * 1-5" })
			return err
		},
		shown:  "from the push until the cluster has the new schedule",
		settle: settled,
	},
	{
		title: "Somebody scales by hand: Deployment web from 3 to 1",
		act: func(ctx context.Context, s *stage) error {
			_, err := s.cluster.AppsV1().Deployments(namespace).Patch(ctx, "web", types.MergePatchType,
				[]byte(`{"spec":{"replicas":1}}`), metav1.PatchOptions{FieldManager: "somebody"})
			return err
		},
		until: func(ctx context.Context, s *stage) error {
			web := await.Object{Client: s.cluster.AppsV1().RESTClient(), Resource: "deployments", Namespace: namespace, Name: "web"}
			_, err := await.Until(ctx, web, func(d *appsv1.Deployment) bool { return *d.Spec.Replicas == 3 })
			return err
		},
		shown:  "from the edit until it is undone",
		settle: settled,
	},
	{
		title: "A push with a mistake: backoffLimit: -1",
		act: func(ctx context.Context, s *stage) error {
			if err := s.repo.Replace("prod/jobs/db-migrate.yaml", "backoffLimit: 2", "backoffLimit: -1"); err != nil {
				return err
			}
			return s.push(ctx, "Never give up")
		},
		until:  func(ctx context.Context, s *stage) error { return s.line(ctx, "rejected", "jobs/db-migrate.yaml:") },
		shown:  "from the push until it is refused, with file and line; the cluster was not touched",
		settle: []string{"CommitRejected"},
	},
	{
		title: "The next push mends it, and deletes a file: config/feature-flags.yaml",
		act: func(ctx context.Context, s *stage) error {
			if err := s.repo.Replace("prod/jobs/db-migrate.yaml", "backoffLimit: -1", "backoffLimit: 2"); err != nil {
				return err
			}
			if err := s.repo.Remove("prod/config/feature-flags.yaml"); err != nil {
				return err
			}
			return s.push(ctx, "Drop the feature flags")
		},
		until: func(ctx context.Context, s *stage) error {
			return await.Gone[corev1.ConfigMap](ctx, await.Object{
				Client: s.cluster.CoreV1().RESTClient(), Resource: "configmaps", Namespace: namespace, Name: "feature-flags",
			})
		},
		shown:  "from the push until the ConfigMap is gone",
		settle: settled,
	},
}

// play sets the stage and plays every scene.
func play(ctx context.Context) error {
	s := &stage{}
	defer s.close()
	fmt.Println("Setting the stage")
	start := time.Now()
	if err := s.setUp(ctx); err != nil {
		return err
	}
	for i, scene := range scenes {
		fmt.Printf("\n%d. %s\n", i+1, scene.title)
		took, err := s.play(ctx, scene)
		if err != nil {
			return fmt.Errorf("scene %d: %w", i+1, err)
		}
		fmt.Printf("   %6.2fs  %s\n", took.Seconds(), scene.shown)
	}
	fmt.Printf("\nAll five scenes played in %.0fs.\n", time.Since(start).Seconds())
	if os.Getenv("KEEP") == "" {
		return nil
	}
	fmt.Printf(`Everything stays up until you interrupt it. Change something below prod and push:
  cd %s
  git commit -am "Try it" && git push
and look at the cluster:
  export KUBECONFIG=%s
`, s.repo.Dir, s.kubeconfig)
	<-ctx.Done()
	return nil
}

// play makes one scene happen and returns how long the answer took.
func (s *stage) play(ctx context.Context, scene scene) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	start := time.Now()
	if err := scene.act(ctx, s); err != nil {
		return 0, err
	}
	if err := scene.until(ctx, s); err != nil {
		return 0, err
	}
	took := time.Since(start)
	if scene.settle == nil {
		return took, nil
	}
	return took, s.line(ctx, scene.settle...)
}

// line waits for Kilter to print a line.
func (s *stage) line(ctx context.Context, texts ...string) error {
	_, err := s.kilter.Line(ctx, texts...)
	return err
}
