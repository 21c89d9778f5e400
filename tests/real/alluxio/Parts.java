// Copyright: (c) 2026, polystore.storage contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

import java.io.IOException;
import java.lang.reflect.Method;
import java.util.List;

/**
 * Runs parts of an Alluxio of any version in this JVM: java Parts [format] [master] [worker] [proxy].
 *
 * <p>The JVM ends when its standard input does, so with whoever started it. Alluxio is only reached by name: this file
 * compiles without it, and fits 1.x and 2.x.
 */
public final class Parts {
  private Parts() {}

  public static void main(String[] words) throws Exception {
    Thread watch = new Thread(Parts::endWithInput, "owner");
    watch.setDaemon(true);
    watch.start();
    List<String> parts = List.of(words);
    if (parts.contains("format")) {
      for (String kind : List.of("master", "worker")) {
        if (parts.contains(kind)) {
          format(kind.toUpperCase());
        }
      }
    }
    begin(parts, "master", "alluxio.master.AlluxioMaster");
    begin(parts, "proxy", "alluxio.proxy.AlluxioProxy");
    begin(parts, "worker", "alluxio.worker.AlluxioWorker");
  }

  private static void endWithInput() {
    try {
      while (System.in.read() >= 0) {
        continue;
      }
    } catch (IOException gone) {
      System.err.println("standard input: " + gone);
    }
    Runtime.getRuntime().halt(0);
  }

  @SuppressWarnings({"unchecked", "rawtypes"})
  private static void format(String mode) throws Exception {
    Object wanted = Enum.valueOf((Class) Class.forName("alluxio.cli.Format$Mode"), mode);
    for (Method method : Class.forName("alluxio.cli.Format").getMethods()) {
      if (!method.getName().equals("format")) {
        continue;
      }
      if (method.getParameterCount() == 1) {
        method.invoke(null, wanted);
      } else {
        Object settings = Class.forName("alluxio.conf.Configuration").getMethod("global").invoke(null);
        method.invoke(null, wanted, settings);
      }
      return;
    }
    throw new IllegalStateException("this Alluxio has no Format.format");
  }

  private static void begin(List<String> parts, String part, String name) throws Exception {
    if (!parts.contains(part)) {
      return;
    }
    Method main = Class.forName(name).getMethod("main", String[].class);
    Thread thread = new Thread(() -> run(main), part);
    thread.start();
  }

  private static void run(Method main) {
    try {
      main.invoke(null, (Object) new String[0]);
    } catch (ReflectiveOperationException failed) {
      failed.printStackTrace();
      Runtime.getRuntime().halt(1);
    }
  }
}
