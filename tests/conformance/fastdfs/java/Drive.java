// Copyright: (c) 2026, polystore.storage contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

import java.io.PrintStream;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.function.IntSupplier;
import java.util.stream.Collectors;
import java.util.zip.CRC32;
import org.csource.common.NameValuePair;
import org.csource.fastdfs.ClientGlobal;
import org.csource.fastdfs.FileInfo;
import org.csource.fastdfs.ProtoCommon;
import org.csource.fastdfs.StorageClient1;
import org.csource.fastdfs.StorageServer;
import org.csource.fastdfs.StructGroupStat;
import org.csource.fastdfs.StructStorageStat;
import org.csource.fastdfs.TrackerClient;
import org.csource.fastdfs.TrackerServer;

/**
 * What the official Java client sees of a FastDFS: java Drive TRACKER[,TRACKER...] [pool]
 *
 * One line a step: {"step": NAME, "ok": ANSWER}, or {"step": NAME, "err": EXCEPTION}. Where the client returns null,
 * the answer is "null, errno N"; where it returns a status, 0 or "errno N". An id is told by what is not drawn by lot.
 * Without a pool every call has a connection of its own; a pool keeps those that the server has closed.
 */
public final class Drive {
    private static final String TEXT = "hello fastdfs\n";
    private static final int LARGE = 3 << 20;
    private static final byte ALL = ProtoCommon.STORAGE_SET_METADATA_FLAG_OVERWRITE;
    private static final byte SOME = ProtoCommon.STORAGE_SET_METADATA_FLAG_MERGE;
    private static final PrintStream OUT = new PrintStream(System.out, true, StandardCharsets.UTF_8);

    private final TrackerClient trackers = new TrackerClient();
    private final TrackerServer tracker;
    private final StorageClient1 files;
    private int steps;
    private int exceptions;

    private interface Call<T> {
        T make() throws Exception;
    }

    private Drive() throws Exception {
        tracker = trackers.getTrackerServer();
        files = new StorageClient1(tracker, null);
    }

    public static void main(String[] arguments) throws Exception {
        ClientGlobal.initByTrackers(arguments[0]);
        ClientGlobal.g_connection_pool_enabled = Arrays.asList(arguments).contains("pool");
        Drive drive = new Drive();
        drive.cluster();
        String first = drive.normal();
        String large = drive.large();
        String bare = drive.upload("upload without extension", () -> drive.files.upload_file1(bytes(TEXT), "", null));
        String empty = drive.empty();
        String slave = drive.slave(first);
        String appender = drive.appender(first);
        drive.ends(slave, appender, bare, empty, large, first);
        line("done", "steps", drive.steps, "exceptions", drive.exceptions);
    }

    // --- telling

    private <T> T tell(String step, IntSupplier errno, Call<T> call) {
        steps++;
        try {
            T answer = call.make();
            line(step, "ok", answer == null ? "null, errno " + errno.getAsInt() : answer);
            return answer;
        } catch (Exception thrown) {
            exceptions++;
            String kind = thrown.getClass().getSimpleName();
            // Whose null it was is a matter of variables' names.
            line(step, "err", thrown instanceof NullPointerException ? kind : kind + ": " + thrown.getMessage());
            return null;
        }
    }

    private <T> T asked(String step, Call<T> call) {
        return tell("tracker " + step, trackers::getErrorCode, call);
    }

    private <T> T told(String step, Call<T> call) {
        return tell(step, files::getErrorCode, call);
    }

    private void status(String step, Call<Integer> call) {
        told(step, () -> call.make() == 0 ? 0 : "errno " + files.getErrorCode());
    }

    private String upload(String step, Call<String> call) {
        String[] kept = new String[1];
        told(step, () -> {
            String id = kept[0] = call.make();
            if (id == null) {
                return null;
            }
            int name = id.indexOf('/') + 1;
            String tail = id.substring(name + 37).replaceFirst("^\\d+", "N");
            return map("head", id.substring(0, name + 3), "tail", tail, "len", id.length());
        });
        return kept[0];
    }

    private static void line(String step, Object... more) {
        Map<String, Object> all = new LinkedHashMap<>();
        all.put("step", step);
        all.putAll(map(more));
        OUT.println(json(all));
    }

    private static Map<String, Object> map(Object... pairs) {
        Map<String, Object> made = new TreeMap<>();
        for (int at = 0; at < pairs.length; at += 2) {
            made.put(pairs[at].toString(), pairs[at + 1]);
        }
        return made;
    }

    private static String json(Object value) {
        if (value instanceof Map) {
            return ((Map<?, ?>) value).entrySet().stream()
                .map(pair -> json(pair.getKey()) + ": " + json(pair.getValue()))
                .collect(Collectors.joining(", ", "{", "}"));
        }
        if (value instanceof String || value instanceof InetSocketAddress) {
            return value.toString().chars()
                .mapToObj(c -> c == '"' || c == '\\' || c < ' ' ? String.format("\\u%04x", c) : String.valueOf((char) c))
                .collect(Collectors.joining("", "\"", "\""));
        }
        return String.valueOf(value);
    }

    // --- what answers look like

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static NameValuePair[] pairs(String... texts) {
        NameValuePair[] made = new NameValuePair[texts.length / 2];
        Arrays.setAll(made, at -> new NameValuePair(texts[2 * at], texts[2 * at + 1]));
        return made;
    }

    private Object metadata(String id) throws Exception {
        NameValuePair[] found = files.get_metadata1(id);
        Map<String, Object> shown = new TreeMap<>();
        for (NameValuePair pair : found == null ? new NameValuePair[0] : found) {
            shown.put(pair.getName(), pair.getValue());
        }
        return found == null ? null : shown;
    }

    private static Object content(byte[] data) {
        if (data == null) {
            return null;
        }
        CRC32 sum = new CRC32();
        sum.update(data);
        return map("len", data.length, "crc32", sum.getValue());
    }

    private static Object about(FileInfo info) {
        return info == null ? null : map(
            "size", info.getFileSize(), "crc32", info.getCrc32() & 0xffffffffL, "ip", info.getSourceIpAddr(),
            "type", info.getFileType(), "from_server", info.getFetchFromServer());
    }

    // --- the steps

    private void cluster() {
        told("active test", () -> {
            var connection = tracker.getConnection();
            try {
                return connection.activeTest();
            } finally {
                connection.release();
            }
        });
        asked("list groups", () -> {
            Map<String, Object> shown = new TreeMap<>();
            for (StructGroupStat group : trackers.listGroups(tracker)) {
                shown.put(group.getGroupName(), map(
                    "storages", group.getStorageCount(), "active", group.getActiveCount(),
                    "port", group.getStoragePort(), "paths", group.getStorePathCount(),
                    "trunk", group.getCurrentTrunkFileId()));
            }
            return shown;
        });
        asked("list storages", () -> {
            Map<String, Object> shown = new TreeMap<>();
            for (StructStorageStat one : trackers.listStorages(tracker, "group1")) {
                shown.put(one.getIpAddr(), map(
                    "status", one.getStatus(), "version", one.getVersion(), "port", one.getStoragePort()));
            }
            return shown;
        });
        asked("list storages, no such group", () -> trackers.listStorages(tracker, "nogroup"));
        asked("store one", () -> {
            StorageServer found = trackers.getStoreStorage(tracker);
            return found == null ? null : found.getInetSocketAddress() + " path " + found.getStorePathIndex();
        });
        asked("store one, group", () -> trackers.getStoreStorage(tracker, "group1").getInetSocketAddress());
        asked("store one, no such group", () -> trackers.getStoreStorage(tracker, "nogroup"));
        asked("store all", () -> trackers.getStoreStorages(tracker, "group1").length);
    }

    private String normal() {
        String id = upload("upload bytes",
            () -> files.upload_file1(bytes(TEXT), "txt", pairs("author", "me", "width", "10")));
        told("metadata of upload", () -> metadata(id));
        told("file info from the server", () -> about(files.query_file_info1(id)));
        told("file info from the id", () -> about(files.get_file_info1(id)));
        asked("fetch", () -> trackers.getFetchStorage1(tracker, id).getInetSocketAddress());
        asked("fetch all", () -> trackers.getFetchStorages1(tracker, id).length);
        asked("update",
            () -> trackers.getUpdateStorage(tracker, "group1", id.substring("group1/".length())).getInetSocketAddress());
        told("download", () -> content(files.download_file1(id)));
        told("download range", () -> content(files.download_file1(id, 6, 7)));
        told("download to the end", () -> content(files.download_file1(id, 6, 0)));
        told("download past the end", () -> content(files.download_file1(id, 6, 1000)));
        status("metadata overwrite", () -> files.set_metadata1(id, pairs("b", "2", "a", "1", "ä", "ö"), ALL));
        told("metadata", () -> metadata(id));
        status("metadata merge", () -> files.set_metadata1(id, pairs("a", "9", "c", "3"), SOME));
        told("metadata merged", () -> metadata(id));
        status("metadata clear", () -> files.set_metadata1(id, pairs(), ALL));
        told("metadata cleared", () -> metadata(id));
        return id;
    }

    private String large() throws Exception {
        byte[] data = new byte[LARGE];
        new Random(6).nextBytes(data);
        Path here = Files.createTempFile("drive", ".bin");
        Path back = Files.createTempFile("drive", ".back");
        try {
            Files.write(here, data);
            String id = upload("upload 3 MiB file", () -> files.upload_file1(here.toString(), null, null));
            status("download to a file", () -> files.download_file1(id, back.toString()));
            told("file came back whole", () -> Arrays.equals(data, Files.readAllBytes(back)));
            return id;
        } finally {
            Files.deleteIfExists(here);
            Files.deleteIfExists(back);
        }
    }

    private String empty() {
        String id = upload("upload empty file", () -> files.upload_file1(new byte[0], "txt", null));
        told("empty file info", () -> about(files.query_file_info1(id)));
        told("download empty file", () -> content(files.download_file1(id)));
        return id;
    }

    private String slave(String master) {
        Call<String> call = () -> files.upload_file1(master, "_150x150", bytes("small"), "jpg", null);
        String id = upload("upload slave", call);
        told("slave name is the master's",
            () -> (master.substring(0, master.lastIndexOf('.')) + "_150x150.jpg").equals(id));
        told("slave again", call);
        told("download slave", () -> content(files.download_file1(id)));
        told("slave info", () -> about(files.query_file_info1(id)));
        return id;
    }

    private String appender(String normal) {
        String id = upload("upload appender", () -> files.upload_appender_file1(bytes("0123456789"), "log", null));
        Call<Object> whole = () -> new String(files.download_file1(id), StandardCharsets.UTF_8);
        status("append", () -> files.append_file1(id, bytes("abcdef")));
        told("append, whole", whole);
        status("modify", () -> files.modify_file1(id, 8, bytes("XYZ")));
        told("modify, whole", whole);
        status("modify past the end", () -> files.modify_file1(id, 100, bytes("XYZ")));
        status("truncate", () -> files.truncate_file1(id, 5));
        told("truncate, whole", whole);
        told("appender info", () -> about(files.query_file_info1(id)));
        status("append to a normal file", () -> files.append_file1(normal, bytes("x")));
        String named = upload("regenerate appender name", () -> files.regenerate_appender_filename1(id));
        told("old appender id is gone", () -> content(files.download_file1(id)));
        told("regenerated info", () -> about(files.query_file_info1(named)));
        return named;
    }

    private void ends(String... ids) {
        for (String id : ids) {
            status("delete", () -> files.delete_file1(id));
        }
        String last = ids[ids.length - 1];
        status("delete again", () -> files.delete_file1(last));
        told("download deleted", () -> content(files.download_file1(last)));
        told("file info deleted", () -> about(files.query_file_info1(last)));
        told("metadata deleted", () -> metadata(last));
    }
}
