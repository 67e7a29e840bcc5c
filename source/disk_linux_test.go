package source_test

import (
	"crypto/rand"
	"syscall"
	"testing"

	"kilter.dev/kilter/internal/gitserver"
	"kilter.dev/kilter/source"
)

// A full disk ends the fetch with its reason, leaves what was fetched before readable, and is forgotten once there is room again.
func TestG16DiskFull(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=512k"); err != nil {
		t.Skipf("needs to mount a file system of 512 KiB, which only root may: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	o := newOrigin(t, gitserver.Options{})
	o.push("a", "1")
	r := o.open(source.Options{Dir: dir})
	before := r.fetch()
	noise := make([]byte, 1<<20)
	_, err := rand.Read(noise)
	o.must(err)
	o.push("big", string(noise))
	for range 3 {
		refused := r.refused(source.StoreFailed, "cannot write a pack", "no space left on device", "has space")
		if !refused.err.Transient() {
			t.Error("a full disk is not for ever")
		}
		if got := content(t, before, "a"); got != "1" {
			t.Errorf("what was fetched before reads %q", got)
		}
	}
	var stat syscall.Statfs_t
	o.must(syscall.Statfs(dir, &stat))
	if used := (stat.Blocks - stat.Bfree) * uint64(stat.Bsize); used > 128<<10 {
		t.Errorf("three failures left %d bytes behind", used)
	}
	o.must(o.repo.Remove("big"))
	o.push("a", "2")
	o.must(syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size=8m"))
	if got := content(t, r.fetch(), "a"); got != "2" {
		t.Errorf("read %q once there was room", got)
	}
}
