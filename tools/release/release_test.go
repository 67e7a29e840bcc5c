package main

import (
	"archive/tar"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
)

// kilter is the program that `make build` made: for this platform, without waiting for the compiler.
const kilter = "../../bin/kilter"

// TestRelease makes a release of kilter twice, as version 1.2.3, and looks at what came out.
func TestRelease(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs bin/kilter to be a program for Linux: there are no images for other systems")
	}
	if _, err := os.Stat(kilter); err != nil {
		t.Fatalf("%v: run make build", err)
	}
	dir, again := filepath.Join(t.TempDir(), "out"), filepath.Join(t.TempDir(), "elsewhere")
	target := runtime.GOOS + "/" + runtime.GOARCH
	for _, dir := range []string{dir, again} {
		err := run(t.Context(), []string{
			"-out", dir, "-version", "1.2.3", "-created", "2026-11-23T12:34:56Z", "-platforms", target, "-prebuilt", target + "=" + kilter,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if first, second := sums(t, dir), sums(t, again); len(first) != 3 || !slices.Equal(first, second) {
		t.Errorf("two releases of one program differ:\n%s\n%s", strings.Join(first, "\n"), strings.Join(second, "\n"))
	}
	t.Run("bill of materials", func(t *testing.T) {
		checkBill(t, filepath.Join(dir, "kilter-1.2.3-linux-"+runtime.GOARCH+".cdx.json"))
	})
	t.Run("image", func(t *testing.T) { checkImage(t, filepath.Join(dir, "kilter-1.2.3.oci.tar")) })
}

// sums returns the lines of SHA256SUMS, after `sha256sum` itself has checked them.
func sums(t *testing.T, dir string) []string {
	t.Helper()
	check := exec.CommandContext(t.Context(), "sha256sum", "--check", "--strict", sumsFile)
	check.Dir = dir
	if output, err := check.CombinedOutput(); err != nil {
		t.Fatalf("sha256sum: %v\n%s", err, output)
	}
	return strings.Split(strings.TrimSpace(read(t, filepath.Join(dir, sumsFile))), "\n")
}

func checkBill(t *testing.T, path string) {
	t.Helper()
	var bill struct {
		BOMFormat string
		Metadata  struct {
			Component struct{ Name, Version string }
		}
		Components []struct{ Name, Version, PURL string }
	}
	if err := json.Unmarshal([]byte(read(t, path)), &bill); err != nil {
		t.Fatal(err)
	}
	versions := map[string]string{}
	for _, c := range bill.Components {
		versions[c.Name] = c.Version
	}
	if bill.BOMFormat != "CycloneDX" || bill.Metadata.Component.Name != "kilter.dev/kilter" || bill.Metadata.Component.Version != "1.2.3" {
		t.Errorf("the bill is %s of %+v", bill.BOMFormat, bill.Metadata.Component)
	}
	if versions["k8s.io/client-go"] == "" || versions["std"] == "" {
		t.Errorf("the bill lacks client-go or Go's own library: %v", versions)
	}
}

// checkImage unpacks the archive as a container runtime does, and runs what it holds with nothing else in sight, as the user it names.
func checkImage(t *testing.T, archive string) {
	root := unpack(t, archive)
	if os.Geteuid() != 0 {
		t.Skip("the files are right; to run them alone takes chroot, which only root may")
	}
	if output, err := alone(t, root, "", "version"); err != nil || !strings.HasPrefix(output, "kilter ") {
		t.Errorf("kilter version: %v\n%s", err, output)
	}
	t.Run("time zones", func(t *testing.T) {
		if output, err := alone(t, root, cronJob("Europe/Berlin"), "validate", "-"); err != nil {
			t.Errorf("a CronJob in Europe/Berlin is refused: %v\n%s", err, output)
		}
		if output, err := alone(t, root, cronJob("Europe/Atlantis"), "validate", "-"); err == nil || !strings.Contains(output, "Europe/Atlantis") {
			t.Errorf("a CronJob in Europe/Atlantis: %v\n%s", err, output)
		}
	})
	t.Run("certificate authorities", func(t *testing.T) {
		server := httptest.NewTLSServer(http.NotFoundHandler())
		defer server.Close()
		sync := "apiVersion: kilter.dev/v1alpha1\nkind: Sync\nmetadata: {name: a, namespace: a}\n" +
			"spec: {git: {url: '" + server.URL + "/a.git', ref: {branch: main}}}\n"
		if err := os.WriteFile(filepath.Join(root, "sync.yaml"), []byte(sync), 0o644); err != nil {
			t.Fatal(err)
		}
		check := []string{"source", "check", "-f", "/sync.yaml"}
		if output, err := alone(t, root, "", check...); err == nil || !strings.Contains(output, "unknown authority") {
			t.Errorf("a server whose authority is in no file: %v\n%s", err, output)
		}
		// The same file that the image brings, with one more: so it is the one that counts.
		bundle := filepath.Join(root, "etc/ssl/certs/ca-certificates.crt")
		more := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
		if err := os.WriteFile(bundle, append([]byte(read(t, bundle)), more...), 0o644); err != nil {
			t.Fatal(err)
		}
		if output, err := alone(t, root, "", check...); err == nil || !strings.Contains(output, "404") {
			t.Errorf("a server whose authority is in the file: %v, want its 404\n%s", err, output)
		}
	})
}

func cronJob(zone string) string {
	return `apiVersion: batch/v1
kind: CronJob
metadata: {name: report, namespace: shop}
spec:
  schedule: "30 6 * * *"
  timeZone: ` + zone + `
  jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: main, image: "a:1"}]}}}}
`
}

// alone runs /kilter with root as its whole file system and an empty environment, as the image's user.
func alone(t *testing.T, root, stdin string, args ...string) (string, error) {
	t.Helper()
	command := exec.CommandContext(t.Context(), "/kilter", args...)
	command.Dir, command.Env, command.Stdin = "/", []string{}, strings.NewReader(stdin)
	command.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: 65532, Gid: 65532}}
	output, err := command.CombinedOutput()
	return string(output), err
}

// unpack checks what the archive says of its only image and returns a directory with the image's files.
func unpack(t *testing.T, archive string) string {
	t.Helper()
	files, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	dir := extract(t, files)
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	named, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if name := named.Manifests[0].Annotations["io.containerd.image.name"]; name != "docker.io/library/kilter:1.2.3" {
		t.Errorf("the image's name is %q", name)
	}
	inner, err := index.ImageIndex(named.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	byPlatform, err := inner.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	image, err := inner.Image(byPlatform.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if config.Config.User != user || config.Architecture != runtime.GOARCH || config.RootFS.Type != "layers" || !config.Created.Equal(time.Date(2026, 11, 23, 12, 34, 56, 0, time.UTC)) {
		t.Errorf("user %q, processor %s, created %s", config.Config.User, config.Architecture, config.Created)
	}
	root := extract(t, mutate.Extract(image))
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(read(t, filepath.Join(root, "etc/ssl/certs/ca-certificates.crt")))) {
		t.Error("the image has no certificate authorities")
	}
	return root
}

// extract writes a tar archive into a directory that every user may enter.
func extract(t *testing.T, archive io.Reader) string {
	t.Helper()
	dir := t.TempDir()
	for _, closed := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(closed, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for files := tar.NewReader(archive); ; {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return dir
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, header.Name)
		if header.Typeflag == tar.TypeDir {
			err = os.MkdirAll(path, 0o755)
		} else {
			var content []byte
			if content, err = io.ReadAll(files); err == nil {
				err = os.WriteFile(path, content, header.FileInfo().Mode())
			}
		}
		if err == nil {
			err = os.Chmod(path, header.FileInfo().Mode())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
